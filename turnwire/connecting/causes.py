"""Why a connection failed or broke, as text that names the real cause."""

from __future__ import annotations

import os
import ssl

import aiohttp
from yarl import URL


def shown(url: URL) -> str:
    """Return the origin of a URL as its user gives it: as http, also for a WebSocket."""
    scheme = {"ws": "http", "wss": "https"}.get(url.scheme, url.scheme)
    return str(url.origin().with_scheme(scheme))


def tls_fault(error: BaseException) -> str | None:
    """Return what is wrong with TLS, which no retry will fix; None for any other cause."""
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {inner.verify_message or inner.reason}"
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return "its certificate is not the one expected"
    if isinstance(inner, ssl.SSLError) and inner.reason in _NOT_TLS:
        return "it does not speak TLS on this port: is it http:// rather than https://?"
    if isinstance(inner, ssl.SSLError) and inner.reason in _NO_AGREEMENT:
        return f"it does not agree on TLS: {_reason(inner)}"
    return None


_NOT_TLS = {
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "UNKNOWN_PROTOCOL",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
}
_NO_AGREEMENT = {
    "UNSUPPORTED_PROTOCOL",
    "NO_PROTOCOLS_AVAILABLE",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "TLSV1_ALERT_UNKNOWN_CA",
    "SSLV3_ALERT_BAD_CERTIFICATE",
}


def what_broke(error: BaseException) -> str:
    """Return a connection's error as text. Callers add the address."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "there is no host of that name"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection without an answer, as a port for https:// does to http://"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "its answer was cut off"
    inner = getattr(error, "os_error", None) or error
    if isinstance(inner, ssl.SSLError):  # its errno comes from OpenSSL, not from the system
        return f"TLS failed: {_reason(inner)}"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()

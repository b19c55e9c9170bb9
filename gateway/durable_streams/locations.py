"""The URL at which clients find a stream that they have created."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from yarl import URL

from turnwire.gateway.access.addresses import ClientAddresses
from turnwire.gateway.access.asking import peer_of

_PROTO: Final = "X-Forwarded-Proto"
_PREFIX: Final = "X-Forwarded-Prefix"


class Locations:
    """The URLs of requests, as clients know them. A trusted proxy that terminates TLS, or serves the gateway under a
    prefix, says so in X-Forwarded-Proto and X-Forwarded-Prefix."""

    def __init__(self, addresses: ClientAddresses) -> None:
        self._addresses = addresses

    def of(self, request: web.Request) -> str:
        """Return the URL of the request, without its query."""
        url = request.url.with_query(None)
        if not self._addresses.is_proxy(peer_of(request.transport)):
            return str(url)
        scheme = _last(request, _PROTO).lower()
        if scheme in ("http", "https"):
            # Not `with_scheme`: Host names the proxy's port, and a Host without a port means the default port of the
            # scheme.
            url = URL.build(scheme=scheme, authority=request.host, path=url.raw_path, encoded=True)
        prefix = _last(request, _PREFIX).rstrip("/")
        return str(url.with_path(prefix + url.raw_path, encoded=True) if prefix.startswith("/") else url)


def _last(request: web.Request, name: str) -> str:
    """Return the value from the nearest proxy; empty if there is none."""
    values = request.headers.getall(name, ())
    return values[-1].rpartition(",")[2].strip() if values else ""

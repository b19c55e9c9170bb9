"""Headers of every answer: security, CORS and the server's name."""

from __future__ import annotations

from collections.abc import Callable

import aiohttp_cors
from aiohttp import hdrs, web
from multidict import CIMultiDict

from turnwire.gateway.aiohttp_private import was_routed
from turnwire.gateway.config import Config
from turnwire.gateway.http.query import STREAM_PREFIXES

_MAX_AGE = 600
"""Seconds that a browser may cache a preflight."""
_EXPOSED_HEADERS = (
    *("Idempotent-Replayed", "RateLimit", "RateLimit-Policy", "Retry-After"),
    *("ETag", "Location", "Stream-Next-Offset", "Stream-Cursor", "Stream-Up-To-Date", "Stream-Closed"),
    *("Producer-Epoch", "Producer-Seq", "Producer-Expected-Seq", "Producer-Received-Seq"),
)
_API_POLICY = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
_UPGRADE = 101
_PRIVATE = ("/sessions", "/stats", "/tokens", "/import", "/backup", "/webhooks", *STREAM_PREFIXES)
"""Prefixes of paths whose answers hold conversations or credentials and must not be cached."""

SECURITY_HEADERS = {
    "Content-Security-Policy": _API_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Origin-Agent-Cluster": "?1",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-DNS-Prefetch-Control": "off",
    "X-Download-Options": "noopen",
    "X-Frame-Options": "DENY",
    "X-Permitted-Cross-Domain-Policies": "none",
    "X-XSS-Protection": "0",
}
"""Headers of every answer except pages, which set policies of their own. Resources may be embedded by any origin: CORS
decides who may call."""
_SERVER: dict[str, str] = {hdrs.SERVER: "turnwire"}
_PREPARED = CIMultiDict({**SECURITY_HEADERS, **_SERVER})


def set_security_headers(headers: CIMultiDict[str]) -> None:
    if hdrs.CONTENT_SECURITY_POLICY not in headers:
        headers.update(_PREPARED)
        return
    for name, value in SECURITY_HEADERS.items():  # for a page, which sets some itself
        headers.setdefault(name, value)
    headers.update(_SERVER)


def is_private(path: str) -> bool:
    """Return whether answers to requests of this path must not be cached."""
    return path.startswith(_PRIVATE)


def common_headers(config: Config) -> Callable[[CIMultiDict[str], str], None]:
    """Return a function that adds the headers of every answer, whoever asks, to those of the answer for a path."""
    hsts = {"Strict-Transport-Security": f"max-age={config.hsts}"} if config.hsts else {}

    def set_common(headers: CIMultiDict[str], path: str) -> None:
        set_security_headers(headers)
        headers.update(hsts)
        if is_private(path):
            headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
        headers.setdefault(hdrs.VARY, hdrs.ORIGIN)

    return set_common


def add_headers(app: web.Application, config: Config) -> None:
    """Add headers to every answer. Call this after all routes have been added."""
    origins = config.allowed_origins.split(",") if config.allowed_origins else []
    options = aiohttp_cors.ResourceOptions(  # type: ignore[no-untyped-call]  # the package has no annotations there
        allow_credentials=False,
        allow_headers="*",
        expose_headers=_EXPOSED_HEADERS,
        max_age=_MAX_AGE,
    )
    cors = aiohttp_cors.setup(app, defaults=dict.fromkeys(origins, options))
    for route in list(app.router.routes()):
        if isinstance(route.resource, web.Resource) and route.method not in (hdrs.METH_ANY, hdrs.METH_OPTIONS):
            cors.add(route)

    # The handler of aiohttp-cors, which looks up the route even without an Origin.
    [set_cors_headers] = app.on_response_prepare
    app.on_response_prepare.clear()

    set_common = common_headers(config)

    async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        if response.status == _UPGRADE:
            headers.update(_SERVER)
            return
        set_common(headers, request.rel_url.raw_path)
        if hdrs.ORIGIN in request.headers:
            if was_routed(request):
                await set_cors_headers(request, response)
            _set_origin(request, response, origins)

    app.on_response_prepare.append(set_headers)


def _set_origin(request: web.Request, response: web.StreamResponse, origins: list[str]) -> None:
    """Set the CORS headers that aiohttp-cors leaves out: those of errors for routes that do not exist."""
    origin = request.headers[hdrs.ORIGIN]
    known = "*" in origins or origin in origins
    if known and hdrs.ACCESS_CONTROL_ALLOW_ORIGIN not in response.headers:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = ",".join(_EXPOSED_HEADERS)

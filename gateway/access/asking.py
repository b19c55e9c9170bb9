"""Reads the parts that the door checks from an aiohttp request."""

from __future__ import annotations

from aiohttp import hdrs, web

from turnwire.gateway.access.asked import Asked


def asked_of(request: web.BaseRequest) -> Asked:
    """Return the parts of the request that the door checks."""
    headers = request.headers
    return Asked(
        method=request.method,
        path=request.rel_url.path,
        hosts=headers.getall(hdrs.HOST, ()),
        peer=_peer(request),
        origins=headers.getall(hdrs.ORIGIN, ()),
        fetch_site=headers.get("Sec-Fetch-Site"),
        forwarded=headers.getall(hdrs.X_FORWARDED_FOR, ()),
        authorizations=headers.getall(hdrs.AUTHORIZATION, ()),
        protocols=headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, ()),
        query=tuple(request.rel_url.query.items()) if request.rel_url.raw_query_string else (),
        is_upgrade=hdrs.UPGRADE in headers,
    )


def _peer(request: web.BaseRequest) -> str:
    transport = request.transport
    name = None if transport is None else transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) and name else ""

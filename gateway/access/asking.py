"""Reads the parts that the door checks from an aiohttp request."""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web

from turnwire.gateway.access.asked import Asked


def asked_of(request: web.BaseRequest) -> Asked:
    """Return the parts of the request that the door checks."""
    headers = request.headers
    return Asked(
        method=request.method,
        path=request.rel_url.path,
        hosts=headers.getall(hdrs.HOST, ()),
        peer=peer_of(request.transport),
        origins=headers.getall(hdrs.ORIGIN, ()),
        fetch_site=headers.get("Sec-Fetch-Site"),
        forwarded=headers.getall(hdrs.X_FORWARDED_FOR, ()),
        authorizations=headers.getall(hdrs.AUTHORIZATION, ()),
        protocols=headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, ()),
        query=tuple(request.rel_url.query.items()) if request.rel_url.raw_query_string else (),
        is_upgrade=hdrs.UPGRADE in headers,
        is_handshake=hdrs.UPGRADE in headers and _is_socket(request.rel_url.raw_path),
    )


def _is_socket(raw_path: str) -> bool:
    """Whether a path is that of a WebSocket: `/subscribe`, `/sessions/{id}/publish`."""
    parts = raw_path.split("/")
    return parts[1:] == ["subscribe"] or (len(parts) == 4 and parts[1] == "sessions" and parts[3] == "publish")


def peer_of(transport: asyncio.BaseTransport | None) -> str:
    """Return the socket's address; empty for a UNIX socket."""
    name = None if transport is None else transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) and name else ""

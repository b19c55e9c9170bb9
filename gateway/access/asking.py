"""Reads the parts that the door checks from an aiohttp request."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import hdrs, web
from multidict import istr

from turnwire.gateway.access.asked import Asked

_FETCH_SITE = istr("Sec-Fetch-Site")
_ASKED: Final = web.RequestKey("asked", Asked)


def asked_of(request: web.BaseRequest) -> Asked:
    """Return the parts of the request that the door checks. They are read once."""
    try:
        return request[_ASKED]
    except KeyError:
        asked = request[_ASKED] = _read(request)
        return asked


def _read(request: web.BaseRequest) -> Asked:
    headers, url = request.headers, request.rel_url
    is_upgrade = hdrs.UPGRADE in headers
    return Asked(
        method=request.method,
        path=url.path,
        hosts=headers.getall(hdrs.HOST, ()),
        peer=peer_of(request.transport),
        origins=headers.getall(hdrs.ORIGIN, ()),
        fetch_site=headers.get(_FETCH_SITE),
        forwarded=headers.getall(hdrs.X_FORWARDED_FOR, ()),
        authorizations=headers.getall(hdrs.AUTHORIZATION, ()),
        protocols=headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, ()),
        query=tuple(url.query.items()) if url.raw_query_string else (),
        is_upgrade=is_upgrade,
        is_handshake=is_upgrade and _is_socket(url.raw_path),
    )


def _is_socket(raw_path: str) -> bool:
    """Return whether a path is that of a WebSocket: `/subscribe`, `/sessions/{id}/publish`."""
    parts = raw_path.split("/")
    return parts[1:] == ["subscribe"] or (len(parts) == 4 and parts[1] == "sessions" and parts[3] == "publish")


def peer_of(transport: asyncio.BaseTransport | None) -> str:
    """Return the socket's address; empty for a UNIX socket."""
    name = None if transport is None else transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) and name else ""

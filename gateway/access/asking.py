"""Reads the parts that the door checks from an aiohttp request."""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web
from multidict import istr

from turnwire.gateway.access.asked import Asked
from turnwire.gateway.aiohttp_private import peer_name_of

_FETCH_SITE = istr("Sec-Fetch-Site")


def asked_of(request: web.BaseRequest) -> Asked:
    """Return the parts of the request that the door checks. A socket's request lives as long as the socket, so do not
    keep them."""
    headers, url = request.headers, request.rel_url
    is_upgrade = hdrs.UPGRADE in headers
    return Asked(
        method=request.method,
        path=url.path,
        hosts=headers.getall(hdrs.HOST, ()),
        peer=_address_in(peer_name_of(request)),
        origins=headers.getall(hdrs.ORIGIN, ()),
        fetch_site=headers.get(_FETCH_SITE),
        forwarded=headers.getall(hdrs.X_FORWARDED_FOR, ()),
        authorizations=headers.getall(hdrs.AUTHORIZATION, ()),
        protocols=headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, ()) if is_upgrade else (),
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
    return _address_in(None if transport is None else transport.get_extra_info("peername"))


def _address_in(name: object) -> str:
    return str(name[0]) if isinstance(name, tuple) and name else ""

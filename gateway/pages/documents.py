"""The descriptions of the API: `/openapi.json` and `/asyncapi.json`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache

import msgspec
from aiohttp import hdrs, web

from turnwire.gateway.openapi.asyncapi import asyncapi_document
from turnwire.gateway.openapi.document import document
from turnwire.protocol.messages import Limits


def add_documents(app: web.Application, limits: Limits) -> None:
    """Add the routes `/openapi.json` and `/asyncapi.json`."""
    described, sockets = _made(limits)
    app.router.add_get("/openapi.json", _serving(described))
    app.router.add_get("/asyncapi.json", _serving(sockets))


@lru_cache(maxsize=8)
def _made(limits: Limits) -> tuple[bytes, bytes]:
    """Make both documents, once for all gateways of this process."""
    return msgspec.json.encode(document(limits)), msgspec.json.encode(asyncapi_document(limits))


def _serving(body: bytes) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def read_document(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json", headers={hdrs.CACHE_CONTROL: "no-cache"})

    return read_document

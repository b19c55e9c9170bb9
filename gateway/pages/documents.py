"""The descriptions of the API: `/openapi.json` and `/asyncapi.json`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial

import msgspec
from aiohttp import hdrs, web

from turnwire.gateway.http.query import refuse_unknown
from turnwire.gateway.openapi.asyncapi import asyncapi_document
from turnwire.gateway.openapi.document import document
from turnwire.protocol.messages import Limits


def add_documents(app: web.Application, limits: Limits) -> None:
    """Add the routes `/openapi.json` and `/asyncapi.json`."""
    app.router.add_get("/openapi.json", _serving(partial(_openapi, limits)))
    app.router.add_get("/asyncapi.json", _serving(partial(_asyncapi, limits)))


@lru_cache(maxsize=8)
def _openapi(limits: Limits) -> bytes:
    return msgspec.json.encode(document(limits))


@lru_cache(maxsize=8)
def _asyncapi(limits: Limits) -> bytes:
    return msgspec.json.encode(asyncapi_document(limits))


def _serving(make: Callable[[], bytes]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Serve what `make` returns. The first call takes some hundredths of a second, in a thread."""

    async def read_document(request: web.Request) -> web.Response:
        refuse_unknown(request, ())
        body = await asyncio.to_thread(make)
        return web.Response(body=body, content_type="application/json", headers={hdrs.CACHE_CONTROL: "no-cache"})

    return read_document

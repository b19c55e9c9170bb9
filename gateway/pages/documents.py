"""The descriptions of the API: `/openapi.json` and `/asyncapi.json`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import hdrs, web

from turnwire.gateway.openapi.asyncapi import asyncapi_document
from turnwire.gateway.openapi.document import document
from turnwire.gateway.openapi.schemas import Schema
from turnwire.protocol.messages import Limits


def add_documents(app: web.Application, limits: Limits) -> None:
    """Add the routes `/openapi.json` and `/asyncapi.json`."""
    app.router.add_get("/openapi.json", _serving(document(limits)))
    app.router.add_get("/asyncapi.json", _serving(asyncapi_document(limits)))


def _serving(document: Schema) -> Callable[[web.Request], Awaitable[web.Response]]:
    body = msgspec.json.encode(document)

    async def read_document(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json", headers={hdrs.CACHE_CONTROL: "no-cache"})

    return read_document

"""JSON answers."""

from __future__ import annotations

from aiohttp import hdrs, web
from multidict import CIMultiDict

from turnwire.protocol.codec import JSON
from turnwire.protocol.messages import Shape

REPLAYED = {"Idempotent-Replayed": "true"}
"""Header of the answer to a request that had been carried out before."""
_JSON = CIMultiDict({hdrs.CONTENT_TYPE: "application/json; charset=utf-8"})
_JSON_REPLAYED = CIMultiDict({**_JSON, **REPLAYED})


def json_answer(shape: Shape, *, status: int = 200, replayed: bool = False) -> web.Response:
    return web.Response(status=status, body=JSON.encode(shape), headers=_JSON_REPLAYED if replayed else _JSON)

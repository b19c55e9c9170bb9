"""Reads request bodies within limits of size and time, and decodes them. Bad ones raise InvalidJson, InvalidMessage or
TooLarge."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import TypeVar

from aiohttp import hdrs, web

from turnwire.gateway.turns import Turns
from turnwire.protocol.codec import JSON
from turnwire.protocol.errors import InvalidJson, InvalidMessage, TooLarge
from turnwire.protocol.messages import Limits

T = TypeVar("T")

_JSON_TYPE = re.compile(r"application/(?:[^/]+\+)?json")


class BodyReader:
    """Reads bodies of at most `limits.frame_bytes`, within `seconds`. A large one then waits until it may be
    decoded."""

    def __init__(self, limits: Limits, seconds: float, turns: Turns, client_of: Callable[[web.Request], str]) -> None:
        """`client_of` returns whose request it is: large bodies of one client do not keep those of others waiting."""
        self._limits = limits
        self._seconds = seconds
        self._turns = turns
        self._client_of = client_of

    async def read(self, request: web.Request, *, any_type: bool = False) -> bytes:
        """Return the whole body, once it is its turn to be decoded; empty if there is none. With `any_type`, the caller
        checks its type.

        Raises TooLarge, InvalidMessage for a body that violates HTTP, and an HTTPException with 408 or 415.
        """
        limit, content = self._limits.frame_bytes, request.content
        try:
            # Usually, the whole body is here, so no timeout is needed.
            body = content.read_nowait() if content.is_eof() else await self._read_on(request, limit)
        except TimeoutError:
            raise web.HTTPRequestTimeout(text=f"the body took longer than {self._seconds:g} s") from None
        except web.RequestPayloadError as error:
            raise InvalidMessage("the body is cut short, or not valid HTTP") from error
        if len(body) > limit:
            raise self._too_large(limit)
        if body and not any_type:
            _check_content_type(request)
        if self._turns.is_long(len(body)):
            await self._turns.decode(len(body), self._client_of(request))
        return body

    async def _read_on(self, request: web.Request, limit: int) -> bytes:
        """Return a body that is still arriving: all of it, or a little more than the limit. Raises TooLarge if it is
        declared to be over the limit."""
        declared = request.content_length
        if declared is not None and declared > limit:
            raise self._too_large(limit)
        body = bytearray()
        async with asyncio.timeout(self._seconds):
            while len(body) <= limit and (chunk := await request.content.readany()):
                body += chunk
        return bytes(body)

    def _too_large(self, limit: int) -> TooLarge:
        return TooLarge(f"the body is over the limit of {limit} bytes")

    async def decode(self, request: web.Request, kind: type[T]) -> T:
        """Return the body as a shape of `protocol.bodies`. Raises InvalidJson if it is empty."""
        return JSON.decode_body(not_empty(await self.read(request)), kind, self._limits)


def check_encoding(request: web.Request) -> None:
    """Raise an HTTPException (415) for a compressed body: a small one could inflate to a huge one."""
    if hdrs.CONTENT_ENCODING not in request.headers:
        return
    encodings = ",".join(request.headers.getall(hdrs.CONTENT_ENCODING)).split(",")
    if any(each.strip().lower() not in ("", "identity") for each in encodings):
        raise web.HTTPUnsupportedMediaType(text="the body must not be compressed: send it without Content-Encoding")


def _check_content_type(request: web.Request) -> None:
    given = request.headers.get(hdrs.CONTENT_TYPE)
    if given == "application/json":
        return
    media_type = request.content_type
    if not _JSON_TYPE.fullmatch(media_type) or (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise web.HTTPUnsupportedMediaType(text="the body must be application/json in UTF-8")


def not_empty(body: bytes) -> bytes:
    if not body:
        raise InvalidJson("the body is empty; it must be a JSON object")
    return body

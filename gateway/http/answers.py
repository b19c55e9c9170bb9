"""JSON answers, and their heads, each of which is made once and kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from aiohttp import HttpVersion11, hdrs, web
from multidict import CIMultiDict

from turnwire.gateway.aiohttp_private import Answer
from turnwire.protocol.codec import JSON
from turnwire.protocol.messages import Shape

REPLAYED = {"Idempotent-Replayed": "true"}
"""Header of an answer to a request that had been carried out before."""
_JSON = CIMultiDict({hdrs.CONTENT_TYPE: "application/json; charset=utf-8"})
_KINDS: Final = {"json": _JSON, "replayed": CIMultiDict({**_JSON, **REPLAYED})}
_MOST_BYTES: Final = 16 * 1024
"""A larger body is not copied behind its head."""

SetHeaders = Callable[[CIMultiDict[str], str], None]
"""Adds the headers that all answers have to those of one answer. Also takes the path of the request."""


def json_answer(shape: Shape, *, status: int = 200, replayed: bool = False) -> web.Response:
    kind = "replayed" if replayed else "json"
    return Answer(JSON.encode(shape), status, kind, _KINDS[kind])


def encoded_answer(body: bytes) -> web.Response:
    """Return the answer with this JSON, which was encoded elsewhere."""
    return Answer(body, HTTPStatus.OK, "json", _JSON)


class Heads:
    """The heads of JSON answers, each made once. Belongs to the event loop."""

    def __init__(self, set_headers: SetHeaders, is_private: Callable[[str], bool]) -> None:
        """`is_private` returns whether the answer to a request of this path must not be cached."""
        self._set_headers = set_headers
        self._is_private = is_private
        self._heads: dict[tuple[str, int, bool], bytes] = {}
        self._second = 0
        self._date = b""

    def make_ready(self, request: web.Request, response: web.StreamResponse) -> bool:
        """Give the answer its head if the answer is small and like most others. Return whether it was. The head says
        the same as the one that aiohttp would make."""
        if not isinstance(response, Answer) or (kind := response.kind) is None or response.keep_alive is not None:
            return False
        body = response.body
        if not isinstance(body, bytes) or len(body) > _MOST_BYTES or request.method == hdrs.METH_HEAD:
            return False
        if not request.keep_alive or request.version != HttpVersion11 or hdrs.ORIGIN in request.headers:
            return False
        response.make_ready(b"%b%d\r\n%b" % (self._head(kind, response.status, request), len(body), self._dated()))
        return True

    def _head(self, kind: str, status: int, request: web.Request) -> bytes:
        path = request.rel_url.raw_path
        key = (kind, status, self._is_private(path))
        head = self._heads.get(key)
        if head is None:
            headers = CIMultiDict(_KINDS[kind])
            self._set_headers(headers, path)
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{lines}Content-Length: ".encode()
            self._heads[key] = head
        return head

    def _dated(self) -> bytes:
        """Return the header with the time, and the end of the head."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._date = f"Date: {formatdate(second, usegmt=True)}\r\n\r\n".encode()
        return self._date

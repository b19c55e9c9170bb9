"""Requests to a gateway and their answers: JSON, streams of lines, and errors of the right class."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from turnwire.address import Address
from turnwire.connecting.answers import said
from turnwire.connecting.causes import tls_fault, what_broke
from turnwire.connecting.link import http_session
from turnwire.connecting.tokens import Token, TokenSource
from turnwire.errors import Refused, Unreachable, refusal
from turnwire.protocol.codec import JSON
from turnwire.protocol.errors import TurnwireError
from turnwire.protocol.messages import Limits, Shape

_ANY = Limits()
_NDJSON = "application/x-ndjson"
_LINE_LIMIT = 64 * 1024 * 1024
T = TypeVar("T")


class Rest:
    """Requests to one gateway, with a token. Methods raise Unreachable and Refused, as `Client` describes."""

    def __init__(self, url: str, token: Token | None, http: aiohttp.ClientSession | None, timeout: float) -> None:
        self.address = Address(url)
        self._token = TokenSource(token)
        self._authorization: dict[str, str] | None = None
        """The headers with the present token; None before the first request."""
        self._own = http is None
        self._http = http or http_session()
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._stream_timeout = aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout)

    async def close(self) -> None:
        if self._own:
            await self._http.close()

    async def json(self, method: str, url: URL, kind: type[T], body: Shape | dict[str, Any] | None = None) -> T:
        """Send a request, and return its answer as a `kind`."""
        async with self._response(method, url, timeout=self._timeout, **_with_body(body)) as response:
            return decoded(await response.read(), kind, url)

    async def nothing(self, method: str, url: URL) -> None:
        """Send a request that is answered without a body."""
        async with self._response(method, url, timeout=self._timeout, headers={"Accept": "application/json"}):
            pass

    async def lines(self, url: URL) -> AsyncGenerator[bytes, None]:
        """Stream an answer, one line of JSON at a time."""
        headers = {"Accept": _NDJSON}
        async with self._response("GET", url, timeout=self._stream_timeout, headers=headers) as response:
            async for line in _lines(response):
                yield line

    async def pieces(self, url: URL) -> AsyncGenerator[bytes, None]:
        """Stream an answer of lines in the pieces in which it arrives, because a line may be too long to be held."""
        headers = {"Accept": _NDJSON}
        async with self._response("GET", url, timeout=self._stream_timeout, headers=headers) as response:
            async for piece in response.content.iter_any():
                yield piece

    async def exchange(self, url: URL, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Send lines of JSON in pieces. While they are being sent, stream the answer one line at a time."""
        headers = {"Accept": _NDJSON, "Content-Type": _NDJSON}
        timeout = self._stream_timeout
        async with self._response("POST", url, timeout=timeout, headers=headers, data=chunks) as response:
            async for line in _lines(response):
                yield line

    @asynccontextmanager
    async def _response(
        self, method: str, url: URL, *, headers: dict[str, str], **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            response = await self._answer(method, url, headers, options)
            try:
                if response.status >= 400:
                    raise await _error(response)
                yield response
            finally:
                response.release()
        except TimeoutError:
            raise Unreachable(f"{self.address.origin} did not answer in time") from None
        except (OSError, aiohttp.ClientError) as error:
            fault = tls_fault(error)
            if fault is not None:
                raise Refused(f"cannot reach {self.address.origin}: {fault}") from None
            raise Unreachable(f"cannot reach {self.address.origin}: {what_broke(error)}") from None

    async def _answer(
        self, method: str, url: URL, headers: dict[str, str], options: dict[str, Any]
    ) -> aiohttp.ClientResponse:
        """Send a request with the present token. If it is no longer accepted, try once more with a fresh one."""
        had = self._authorization
        if had is None:
            had = self._authorization = await self._token.headers()
        response = await self._http.request(method, url, headers={**headers, **had}, **options)
        if response.status != 401 or not self._token.can_renew:
            return response
        fresh = self._authorization = await self._token.headers()
        if fresh == had:
            return response
        response.release()
        return await self._http.request(method, url, headers={**headers, **fresh}, **options)


def _with_body(body: Shape | dict[str, Any] | None) -> dict[str, Any]:
    if body is None:
        return {"headers": {"Accept": "application/json"}}
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    return {"headers": headers, "data": JSON.encode_value(body)}


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Iterate over lines of up to 64 MiB; aiohttp limits its own lines to the size of its buffer."""
    parts: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            yield b"".join([*parts, end])
            parts, size = [], 0
        parts.append(rest)
        size += len(rest)
        if size > _LINE_LIMIT:
            raise Refused(f"a line of {response.url.path} exceeds {_LINE_LIMIT} bytes")
    if size:
        yield b"".join(parts)


async def _error(response: aiohttp.ClientResponse) -> Refused | Unreachable:
    text, code = said(await response.read(), f"HTTP {response.status} {response.reason}")
    if response.status >= 500 or response.status == 429:
        return Unreachable(f"{response.url.origin()} cannot serve now (HTTP {response.status}): {text}")
    return refusal(text, code, status=response.status)


def decoded(data: bytes, kind: type[T], url: URL) -> T:
    try:
        return JSON.decode_body(data, kind, _ANY)
    except TurnwireError as error:
        raise Refused(f"{url.origin()} did not answer as a Turnwire gateway does: {error.message}") from None

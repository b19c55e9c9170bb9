"""A small REST client: sessions and their history."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec
from yarl import URL

from turnwire.address import Address
from turnwire.errors import Refused, Unreachable, refusal
from turnwire.link import http_session, what_broke
from turnwire.protocol.bodies import (
    CompleteSession,
    CreateSession,
    ErrorEnvelope,
    EventPage,
    SessionList,
)
from turnwire.protocol.codec import JSON
from turnwire.protocol.errors import TurnwireError
from turnwire.protocol.messages import (
    Event,
    FinalStatus,
    InitialStatus,
    JsonObject,
    Limits,
    Session,
    SessionStatus,
    Shape,
)
from turnwire.protocol.salvage import UNDECODABLE

_ANY = Limits()
_LIST_PAGE = 100
_LINE_LIMIT = 64 * 1024 * 1024
T = TypeVar("T")


class Client:
    """REST calls to one gateway. Use as a context manager, or call `close`.

    All calls raise Unreachable when there is no gateway, or one that cannot serve now, and Refused (SessionNotFound,
    NotAllowed, ...) when it says no. `timeout` in seconds is for one request; a stream may take longer, and is
    given up when nothing comes for as long.
    """

    def __init__(self, url: str, *, http: aiohttp.ClientSession | None = None, timeout: float = 30.0) -> None:
        self._address = Address(url)
        self._own = http is None
        self._http = http or http_session()
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._stream_timeout = aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._own:
            await self._http.close()

    async def create(
        self,
        session_id: str | None = None,
        language: str = "en",
        *,
        metadata: JsonObject | None = None,
        status: InitialStatus = "initiated",
    ) -> Session:
        """The session, new or as it is. Without an id the gateway makes one."""
        body: dict[str, Any] = msgspec.to_builtins(CreateSession(language, session_id, metadata or {}, status))
        if session_id is None:
            del body["sessionId"]
        return await self._json("POST", self._address.http("sessions"), Session, body)

    async def check(self) -> None:
        """Returns when there is a gateway that serves."""
        await self._json("GET", self._address.http("health", "ready"), dict[str, Any])

    async def get(self, session_id: str) -> Session:
        url = self._address.http("sessions", session_id, query=[("limit", "1")])
        return await self._json("GET", url, Session)

    async def complete(self, session_id: str, status: FinalStatus = "completed", reason: str | None = None) -> Session:
        """End the session; one that has ended already is returned as it ended."""
        url = self._address.http("sessions", session_id, "complete")
        return await self._json("POST", url, Session, CompleteSession(status, reason))

    async def list(
        self,
        *,
        status: SessionStatus | None = None,
        language: str | None = None,
        started_after: str | None = None,
        started_before: str | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[Session, None]:
        """Sessions, newest first; all that match, or the first `limit`. Times are ISO-8601, exclusive."""
        filters = {
            "status": status,
            "language": language,
            "startedAfter": started_after,
            "startedBefore": started_before,
        }
        query = [(name, value) for name, value in filters.items() if value is not None]
        left, cursor = limit, None
        while left is None or left > 0:
            page_query = [*query, ("limit", str(min(_LIST_PAGE, left or _LIST_PAGE)))]
            if cursor is not None:
                page_query.append(("cursor", cursor))
            page = await self._json("GET", self._address.http("sessions", query=page_query), SessionList)
            for session in page.sessions:
                yield session
            left = None if left is None else left - len(page.sessions)
            cursor = page.next_cursor
            if cursor is None:
                return

    async def events(self, session_id: str, *, after_seq: int = 0, limit: int = 100) -> EventPage:
        """One window of the log."""
        query = [("afterSeq", str(after_seq)), ("limit", str(limit))]
        return await self._json("GET", self._address.http("sessions", session_id, "events", query=query), EventPage)

    async def export(self, session_id: str, *, after_seq: int = 0) -> AsyncGenerator[Event, None]:
        """The whole rest of the log as it stands now, streamed. Raises Unreachable when it breaks off on the way."""
        url = self._address.http("sessions", session_id, "events", query=[("afterSeq", str(after_seq))])
        headers = {"Accept": "application/x-ndjson"}
        async with self._response("GET", url, headers=headers, timeout=self._stream_timeout) as response:
            async for line in _lines(response):
                yield _decoded(line, Event, url)

    async def _json(self, method: str, url: URL, kind: type[T], body: Shape | dict[str, Any] | None = None) -> T:
        headers = {"Accept": "application/json"}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = JSON.encode_value(body)
        async with self._response(method, url, headers=headers, data=data, timeout=self._timeout) as response:
            return _decoded(await response.read(), kind, url)

    @asynccontextmanager
    async def _response(self, method: str, url: URL, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._http.request(method, url, **options) as response:
                if response.status >= 400:
                    raise await _error(response)
                yield response
        except TimeoutError:
            raise Unreachable(f"{self._address.origin} did not answer in time") from None
        except (OSError, aiohttp.ClientError) as error:
            raise Unreachable(f"cannot reach {self._address.origin}: {what_broke(error)}") from None


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Lines of any length up to 64 MiB; aiohttp's own are held to the size of its buffer."""
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
            raise Refused(f"a line of {response.url.path} is over {_LINE_LIMIT} bytes")
    if size:
        yield b"".join(parts)


async def _error(response: aiohttp.ClientResponse) -> Refused | Unreachable:
    body = await response.read()
    try:
        envelope = msgspec.json.decode(body, type=ErrorEnvelope)
    except UNDECODABLE:
        text, code = f"HTTP {response.status} {response.reason}", None
    else:
        text = envelope.message if isinstance(envelope.message, str) else "; ".join(envelope.message)
        code = envelope.code
    if response.status >= 500 or response.status == 429:
        return Unreachable(f"{response.url.origin()} cannot serve now (HTTP {response.status}): {text}")
    return refusal(text, code, status=response.status)


def _decoded(data: bytes, kind: type[T], url: URL) -> T:
    try:
        return JSON.decode_body(data, kind, _ANY)
    except TurnwireError as error:
        raise Refused(f"{url.origin()} did not answer as a Turnwire gateway does: {error.message}") from None

"""REST clients of a soak. They repeat requests until they have an answer, and record all attempts in the history."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

import aiohttp
import msgspec

from tests.support.history import Entry, History, RestAppend, entry_of, sending_of
from tests.support.load.client import Target
from turnwire.protocol.bodies import CreateSession, EventBatch, EventBatchIn
from turnwire.protocol.codec import JSON
from turnwire.protocol.messages import EventIn, Session

T = TypeVar("T")
_JSON = {"Content-Type": "application/json"}
_NOT_NOW = {502, 503}
_PAUSE_SECONDS = 0.2


class RestClient:
    """Repeats requests until it has an answer, because the gateway or its database may be away."""

    def __init__(self, http: aiohttp.ClientSession, target: Target) -> None:
        self.http = http
        self.target = target

    async def create(self, session_id: str) -> None:
        body = JSON.encode(CreateSession("en", session_id))
        await self._insist(lambda: self._ask("POST", "/sessions", body))

    async def complete(self, session_id: str) -> Session:
        url = f"/sessions/{session_id}/complete"
        return msgspec.json.decode(await self._insist(lambda: self._ask("POST", url, b"{}")), type=Session)

    async def append(self, history: History, name: str, events: list[EventIn]) -> None:
        """Record every attempt in the history, including those whose outcome is unknown."""

        async def attempt() -> bytes | None:
            append = RestAppend(name, [sending_of(event) for event in events])
            history.rest.append(append)
            body = JSON.encode(EventBatchIn(events))
            answer = await self._ask("POST", f"/sessions/{history.session_id}/events", body)
            if answer is not None:
                append.stored = [entry_of(event) for event in msgspec.json.decode(answer, type=EventBatch).events]
            return answer

        await self._insist(attempt)

    async def read_log(self, session_id: str) -> list[Entry]:
        """Return the whole log, read as a stream."""
        url = f"/sessions/{session_id}/events"
        text = await self._insist(lambda: self._ask("GET", url, None, {"Accept": "application/x-ndjson"}))
        lines = text.splitlines()
        return [entry_of(JSON.decode_event(line)) for line in lines]

    async def _ask(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str] | None = None
    ) -> bytes | None:
        """Send a request. Return None for an answer that says to try again. Raises AssertionError for any other that is
        not a success."""
        async with self.http.request(
            method, self.target.choose().url + path, data=body, headers=headers or _JSON
        ) as answer:
            content = await answer.read()
            assert answer.status in {200, 201, *_NOT_NOW}, f"{method} {path}: {answer.status} {content[:300]!r}"
            return None if answer.status in _NOT_NOW else content

    async def _insist(self, ask: Callable[[], Awaitable[bytes | None]]) -> bytes:
        while True:
            try:
                async with asyncio.timeout(60):
                    answer = await ask()
            except (aiohttp.ClientError, OSError, TimeoutError):
                answer = None
            if answer is not None:
                return answer
            await asyncio.sleep(_PAUSE_SECONDS)


class RestCaller:
    """Appends a few events to a session by REST now and then, each batch until it is answered."""

    def __init__(self, rest: RestClient, history: History, random: Random) -> None:
        self._rest = rest
        self._history = history
        self._random = random
        self._made = 0

    async def run(self, until: asyncio.Event) -> None:
        name = f"r-{self._history.session_id}"
        while not until.is_set():
            events = [self._event(name) for _ in range(self._random.randint(1, 5))]
            await self._rest.append(self._history, name, events)
            await asyncio.sleep(self._random.uniform(1, 3))

    def _event(self, name: str) -> EventIn:
        self._made += 1
        return EventIn(f"{name}-{self._made}", "system", {"number": self._made})

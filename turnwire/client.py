"""A REST client: sessions, their events, and the operations on them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, Unpack

import aiohttp
import msgspec

from turnwire.connecting.tokens import Token
from turnwire.protocol.bodies import (
    CommandAnswer,
    CompleteSession,
    CreateSession,
    EventBatch,
    EventPage,
    MintedToken,
    SessionList,
    SessionSums,
)
from turnwire.protocol.figures import SessionStats
from turnwire.protocol.messages import Event, EventIn, FinalStatus, InitialStatus, JsonObject, Session
from turnwire.rest.requests import Rest, decoded
from turnwire.rest.session_filter import SessionFilter, query_of
from turnwire.rest.shapes import GroupBy, Order, SessionPage

_LIST_PAGE = 100


class Client:
    """REST calls to one gateway. Use as a context manager, or call `close`.

    All calls raise Unreachable if no gateway answers, or it cannot serve now, and Refused (SessionNotFound, NotAllowed,
    ...) if it refuses. `timeout` is in seconds, for one request; a stream may take longer, but must not pause for
    longer. `token` is a string, or a function, plain or async, that returns one. The function is called before the
    first request, and again once the gateway no longer accepts the token.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        http: aiohttp.ClientSession | None = None,
        timeout: float = 30.0,
    ) -> None:
        self._rest = Rest(url, token, http, timeout)
        self._http = self._rest.address.http

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._rest.close()

    async def check(self) -> None:
        """Return if a gateway answers and can serve. Raise otherwise."""
        await self._rest.json("GET", self._http("health", "ready"), dict[str, Any])

    # One session

    async def create(
        self,
        session_id: str | None = None,
        language: str = "en",
        *,
        metadata: JsonObject | None = None,
        status: InitialStatus = "initiated",
    ) -> Session:
        """Create a session, or return it unchanged if it exists. Without an id, the gateway chooses one."""
        body: dict[str, Any] = msgspec.to_builtins(CreateSession(language, session_id, metadata or {}, status))
        if session_id is None:
            del body["sessionId"]
        return await self._rest.json("POST", self._http("sessions"), Session, body)

    async def get(self, session_id: str) -> Session:
        url = self._http("sessions", session_id, query=[("limit", "1")])
        return await self._rest.json("GET", url, Session)

    async def history(
        self,
        session_id: str,
        *,
        page: int | None = None,
        limit: int | None = None,
        offset: int | None = None,
        order: Order = "asc",
    ) -> SessionPage:
        """Return the session with one page of its events, ordered by time: by `page` (from 1) or `offset` (from 0)."""
        given = {"page": page, "limit": limit, "offset": offset, "order": order}
        query = [(name, str(value)) for name, value in given.items() if value is not None]
        return await self._rest.json("GET", self._http("sessions", session_id, query=query), SessionPage)

    async def append(self, session_id: str, events: EventIn | Sequence[EventIn]) -> list[Event]:
        """Store events, 500 at most, and return them as stored. A known id returns the event first stored under it.

        Raises Refused, and stores nothing, if one event is invalid.
        """
        batch = [events] if isinstance(events, EventIn) else list(events)
        url = self._http("sessions", session_id, "events")
        stored = await self._rest.json("POST", url, EventBatch, {"events": [_without_null(event) for event in batch]})
        return stored.events

    async def complete(self, session_id: str, status: FinalStatus = "completed", reason: str | None = None) -> Session:
        """End the session, and return it. One that has ended already is returned as it is."""
        url = self._http("sessions", session_id, "complete")
        return await self._rest.json("POST", url, Session, CompleteSession(status, reason))

    async def patch(
        self, session_id: str, *, metadata: JsonObject | None = None, language: str | None = None
    ) -> Session:
        """Change a session's metadata or language, even after its end. `metadata` is merged; null removes a key."""
        given = {"metadata": metadata, "language": language}
        body = {name: value for name, value in given.items() if value is not None}
        return await self._rest.json("PATCH", self._http("sessions", session_id), Session, body)

    async def delete(self, session_id: str, *, force: bool = False) -> None:
        """Erase the session with all its events. Does nothing if there is no such session.

        Returns when nothing is left and the id can be used again. Raises Refused (`code` `publisher_connected`) while a
        publisher is connected, unless `force` is set. Raises Unreachable if it takes too long: the gateway goes on, and
        you can call again.
        """
        query = [("force", "true")] if force else []
        await self._rest.nothing("DELETE", self._http("sessions", session_id, query=query))

    async def stats(self, session_id: str) -> SessionStats:
        """Return the figures of the conversation."""
        return await self._rest.json("GET", self._http("sessions", session_id, "stats"), SessionStats)

    async def events(self, session_id: str, *, after_seq: int = 0, limit: int = 100) -> EventPage:
        """Return one window of the log, in seq order."""
        query = [("afterSeq", str(after_seq)), ("limit", str(limit))]
        return await self._rest.json("GET", self._http("sessions", session_id, "events", query=query), EventPage)

    async def export(self, session_id: str, *, after_seq: int = 0) -> AsyncGenerator[Event, None]:
        """Stream the log after `after_seq`, up to its present end. Raises Unreachable if the stream breaks off."""
        url = self._http("sessions", session_id, "events", query=[("afterSeq", str(after_seq))])
        async with aclosing(self._rest.lines(url)) as lines:
            async for line in lines:
                yield decoded(line, Event, url)

    async def command(
        self,
        session_id: str,
        command: str,
        payload: JsonObject | None = None,
        *,
        command_id: str,
        by: str | None = None,
        ttl_ms: int | None = None,
    ) -> CommandAnswer:
        """Send the session's bot a command, such as `say` with `{"text": …}`, and return the command's state.

        Calls with the same `command_id` send it once.
        """
        given = {"commandId": command_id, "command": command, "payload": payload or {}, "by": by, "ttlMs": ttl_ms}
        body = {name: value for name, value in given.items() if value is not None}
        return await self._rest.json("POST", self._http("sessions", session_id, "commands"), CommandAnswer, body)

    # All sessions

    async def list(self, *, limit: int | None = None, **filter: Unpack[SessionFilter]) -> AsyncGenerator[Session, None]:
        """Iterate over all sessions that match, or the first `limit` of them, newest first by default."""
        left, cursor = limit, None
        while left is None or left > 0:
            page = await self.list_page(limit=min(_LIST_PAGE, left or _LIST_PAGE), cursor=cursor, **filter)
            for session in page.sessions:
                yield session
            left = None if left is None else left - len(page.sessions)
            cursor = page.next_cursor
            if cursor is None:
                return

    async def list_page(
        self, *, limit: int = 20, cursor: str | None = None, **filter: Unpack[SessionFilter]
    ) -> SessionList:
        """Return one page of sessions, with the cursor of the next; None at the end. `limit` is 100 at most."""
        query = [*query_of(filter), ("limit", str(limit))]
        if cursor is not None:
            query.append(("cursor", cursor))
        return await self._rest.json("GET", self._http("sessions", query=query), SessionList)

    async def call_stats(
        self, *, started_after: str, started_before: str | None = None, group_by: GroupBy | None = None
    ) -> SessionSums:
        """Return sums over the calls that started in a period: at most 400 days and 200 groups.

        Times are ISO-8601 and exclusive.
        """
        given = {"startedAfter": started_after, "startedBefore": started_before, "groupBy": group_by}
        query = [(name, value) for name, value in given.items() if value is not None]
        return await self._rest.json("GET", self._http("stats", query=query), SessionSums)

    async def mint_token(self, sub: str, *, scope: str, sessions: Sequence[str], ttl: int = 600) -> MintedToken:
        """Make a token for another client, valid for `ttl` seconds (3600 at most), with no more rights than your own.

        `scope` holds scopes separated by spaces, `sessions` ids, or prefixes that end in `*`.
        """
        body = {"sub": sub, "scope": scope, "sessions": [*sessions], "ttl": ttl}
        return await self._rest.json("POST", self._http("tokens"), MintedToken, body)


def _without_null(event: EventIn) -> dict[str, Any]:
    """Return the event's fields, leaving out a missing timestamp: the gateway sets it, but refuses null."""
    fields: dict[str, Any] = {"eventId": event.event_id, "type": event.type, "payload": event.payload}
    if event.timestamp is not None:
        fields["timestamp"] = event.timestamp
    return fields

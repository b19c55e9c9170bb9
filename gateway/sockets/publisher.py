"""One publisher socket: `GET /sessions/{sessionId}/publish`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from turnwire.gateway.clock import utc_now
from turnwire.gateway.connections.connection import Connection, Serving
from turnwire.gateway.http.query import session_id_of
from turnwire.gateway.live.context import Waiting
from turnwire.gateway.live.items import AppendItem, ClaimItem, EndItem, SignalItem
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.protocol.codec import Batch
from turnwire.protocol.errors import CloseCode, InvalidMessage, TurnwireError
from turnwire.protocol.messages import (
    Ack,
    AckItem,
    Complete,
    Completed,
    Nack,
    NackItem,
    Opened,
    Ping,
    PublisherCommand,
    Session,
    Signal,
)
from turnwire.protocol.paging import language_fault
from turnwire.store.waiting import storage_deadline


class PublisherConnection(Connection):
    """The connection that streams a session's events. Reads while it has room for what is not answered yet."""

    kind = "publisher"

    def __init__(self, request: web.Request, serving: Serving, waiting: Waiting) -> None:
        super().__init__(request, serving)
        self._waiting = waiting
        self.epoch = 0
        self.finished = False
        """Whether nothing more of what it sent is to be taken: it has completed its session, or is superseded."""
        self._completing = False
        self._in_flight = 0
        self._in_flight_bytes = 0
        self._max_in_flight_bytes = 2 * self.limits.frame_bytes
        self._room: asyncio.Future[None] | None = None

    # Told by the session

    def answered(self, replies: Sequence[AckItem | NackItem], weight: int) -> None:
        """These events have come to their end; in the order they were sent."""
        self._settle(len(replies), weight)
        start = 0
        while start < len(replies):
            kind = type(replies[start])
            end = start + 1
            while end < len(replies) and type(replies[end]) is kind:
                end += 1
            run = list(replies[start:end])
            self.send(Ack(run) if kind is AckItem else Nack(run))  # type: ignore[arg-type]
            start = end

    def acked(self, acks: list[AckItem], weight: int) -> None:
        """These events are durable; in the order they were sent."""
        self._settle(len(acks), weight)
        self.send(Ack(acks))

    def _settle(self, count: int, weight: int) -> None:
        self._in_flight -= count
        self._in_flight_bytes -= weight
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def superseded(self) -> None:
        self.finished = True
        self.close(CloseCode.SUPERSEDED, "a newer publisher has taken over the session")

    def completed(self, session: Session) -> None:
        self.finished = True
        self.send(Completed(session))
        self.close(CloseCode.DONE, "completed")

    def session_ended(self, session: Session) -> None:
        if not self._completing:  # it did not ask for it; what it asks is answered by `completed`
            self.send(Completed(session))

    # The handler

    async def run(self, live: LiveSession, opened: Opened) -> None:
        """Serve the socket until it ends."""
        self.send(opened)
        async for frame in self.frames():
            try:
                command = self.codec.decode_publisher(frame, self.limits)
                self._take(live, command, len(frame))
            except TurnwireError as error:
                self.send_error(error)
            self.serving.frame_received()
            if self._is_full:
                await self._wait_for_room()

    def _take(self, live: LiveSession, command: PublisherCommand | Batch, size: int) -> None:
        match command:
            case Ping():
                self.answer_ping(command)
            case _ if self._completing:
                pass  # after its end it has nothing more to say; what waits stays bounded
            case Batch():
                self._in_flight += len(command.events)
                self._in_flight_bytes += size
                live.submit(AppendItem(command.events, size, utc_now(), self, taken_at=self.serving.clock()))
            case Signal():
                live.submit(SignalItem(self, command.key, command.payload))
            case Complete():
                self._completing = True
                live.submit(EndItem(command.status, command.reason, publisher=self))

    @property
    def _is_full(self) -> bool:
        if self._in_flight >= self.limits.in_flight or self._in_flight_bytes >= self._max_in_flight_bytes:
            return True
        return self._in_flight > 0 and self._waiting.full

    async def _wait_for_room(self) -> None:
        """Leave the socket unread, so that TCP slows the client, until there is room."""
        self.paused = True
        while self._is_full and self.closing is None:
            self._room = asyncio.get_running_loop().create_future()
            await self._room
        self.paused = False
        self._room = None

    def close(self, code: int, reason: str) -> None:
        super().close(code, reason)
        if self._room is not None and not self._room.done():
            self._room.set_result(None)


class PublisherEndpoint:
    """`GET /sessions/{sessionId}/publish`."""

    def __init__(self, serving: Serving, sessions: LiveSessions, waiting: Waiting) -> None:
        self._waiting = waiting
        self._serving = serving
        self._sessions = sessions

    async def publish(self, request: web.Request) -> web.StreamResponse:
        """Claim the session, then serve the socket. Refusals are HTTP answers, before the upgrade."""
        connection = PublisherConnection(request, self._serving, self._waiting)
        connection.check()
        session_id = session_id_of(request, self._serving.config.limits)
        opened: asyncio.Future[Opened] = asyncio.get_running_loop().create_future()
        live: LiveSession | None = None
        try:
            async with storage_deadline(self._serving.config.rest_timeout):
                live, created = await self._open(request, session_id)
                live.submit(ClaimItem(connection, opened, created))
                first = await opened
            response = await connection.open()
            await connection.run(live, first)
        finally:
            if live is not None:
                live.release(connection)
            if connection.is_open:
                await connection.finish()
        return response

    async def _open(self, request: web.Request, session_id: str) -> tuple[LiveSession, bool]:
        """The session, and whether it was created for this publisher."""
        language = request.query.get("language")
        if language is None:
            return await self._sessions.open(session_id), False
        fault = language_fault(language)
        if fault is not None:
            raise InvalidMessage(fault)
        return await self._sessions.open_or_create(session_id, language)

"""Streams one session's events to the gateway, over as many connections as that takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, overload

import aiohttp

from turnwire.address import Address
from turnwire.delivery import Acked, Delivery
from turnwire.errors import EventsRejected, PublisherClosed
from turnwire.event_encoder import EventEncoder
from turnwire.link import codec_named, http_session
from turnwire.outbox import Outbox
from turnwire.protocol.messages import Complete, EventIn, EventType, FinalStatus, JsonObject, NackItem, Session
from turnwire.publisher_loop import Call, PublisherLoop
from turnwire.spooled_outbox import SpooledOutbox

FAREWELL = 2.0
"""Seconds a publisher that is left by an exception gives to what it still holds."""
MAX_REASON = 256


class Publisher:
    """One session's publisher.

        async with Publisher("http://localhost:3000", "call-17", language="en") as call:
            await call.send("user_speech", {"text": "Hello?"})
            await call.complete()

    Entering waits for the gateway, `connect_timeout` seconds at most, and creates the session if it is new. From then
    on connections may come and go: `send` queues, every event is sent until the gateway says that it is durable, in
    order and once, and nothing is stored twice. Leaving waits until all is stored. Calls that wait raise Superseded,
    SessionEnded or another Refused when the gateway says no for good, Unreachable once it has been away for
    `give_up_after` seconds (never, unless given), and TimeoutError after their own `timeout`. All calls belong to the
    event loop the publisher was entered in.

    Events the gateway refuses for what they are go to `on_nack`, if given; else they are logged, and `flush`,
    `complete` and leaving raise EventsRejected once for them. They are always in `nacks`. `on_ack` is told of every
    event that became durable. Callbacks must not block.
    """

    def __init__(
        self,
        url: str,
        session_id: str,
        language: str | None = "en",
        *,
        metadata: JsonObject | None = None,
        codec: Literal["json", "msgpack"] = "json",
        max_outbox: int = 1000,
        spool: str | Path | None = None,
        connect_timeout: float | None = 30.0,
        give_up_after: float | None = None,
        on_ack: Callable[[Acked], None] | None = None,
        on_nack: Callable[[NackItem], None] | None = None,
        http: aiohttp.ClientSession | None = None,
    ) -> None:
        """`url` is the gateway's, http or ws. `language=None`: the session must exist. `metadata` is for a new session.

        `spool` names a file that keeps what has no answer beyond this process: entering sends what is in it, first.
        `http` brings headers, TLS and proxies, and is left open. Raises ValueError for a wrong argument.
        """
        if not session_id:
            raise ValueError("the session id must not be empty")
        if metadata is not None and language is None:
            raise ValueError("metadata is for a new session, which needs a language")
        self.session_id = session_id
        self._call = Call(Address(url), session_id, language, metadata, connect_timeout, give_up_after)
        self._codec = codec_named(codec)
        self._encoder = EventEncoder(self._codec)
        outbox = Outbox(max_outbox)
        if spool is not None:
            outbox = SpooledOutbox(
                max_outbox, Path(spool), gateway=self._call.address.shown, session_id=session_id, codec=self._codec
            )
        self._delivery = Delivery(self._codec, outbox, on_ack, on_nack)
        self._http = http
        self._own_http: aiohttp.ClientSession | None = None
        self._loop: PublisherLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self._admission = asyncio.Lock()
        self._taken = 0

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self.flush()
            elif isinstance(error, Exception) and self._failure is None:
                await self._farewell()
        finally:
            await self.close()

    # Life

    async def open(self) -> None:
        """What entering does; `close` must follow."""
        if self._task is not None:
            raise PublisherClosed("a publisher can be opened once")
        self._delivery.outbox.open()
        self._taken = self.pending
        http = self._http
        if http is None:
            http = self._own_http = http_session()
        self._loop = PublisherLoop(self._call, codec=self._codec, delivery=self._delivery, http=http)
        self._task = asyncio.create_task(self._run(self._loop), name=f"publisher of {self.session_id}")
        try:
            await self._until(lambda: self._delivery.opened is not None)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnect at once; what has no ack may or may not be stored. The session goes on."""
        self._fail(PublisherClosed("the publisher has been closed"))
        try:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait({self._task})
        finally:
            self._delivery.outbox.release()
        if self._own_http is not None:
            await self._own_http.close()

    async def _run(self, loop: PublisherLoop) -> None:
        try:
            await loop.run()
        except Exception as error:  # whatever it is, it is raised by the calls that wait
            self._fail(error)
        else:
            self._fail(PublisherClosed("the session has been completed"))

    def _fail(self, error: Exception) -> None:
        if self._failure is None:
            self._failure = error
        self._wake()

    async def _farewell(self) -> None:
        try:
            await self.flush(timeout=FAREWELL)
        except Exception:
            return  # the exception that ends the block is the one to see

    # State

    @property
    def connected(self) -> bool:
        """Whether a connection is open at this moment."""
        return self._delivery.is_open

    @property
    def pending(self) -> int:
        """How many events have been taken and not answered."""
        return len(self._delivery.outbox)

    @property
    def nacks(self) -> list[NackItem]:
        """All events refused so far, in the order sent."""
        return list(self._delivery.nacks)

    @property
    def session(self) -> Session | None:
        """The session as the gateway last described it: when the connection opened, or when it ended."""
        return self._delivery.session

    def unanswered(self) -> list[EventIn]:
        """The events taken and not answered, in order, to be kept elsewhere when the publisher cannot go on."""
        return self._delivery.unanswered()

    # Calls

    @overload
    async def send(self, type: EventIn, *, timeout: float | None = None) -> str: ...

    @overload
    async def send(
        self,
        type: EventType,
        payload: JsonObject,
        event_id: str | None = None,
        timestamp: datetime | str | None = None,
        *,
        timeout: float | None = None,
    ) -> str: ...

    async def send(
        self,
        type: EventType | EventIn,
        payload: JsonObject | None = None,
        event_id: str | None = None,
        timestamp: datetime | str | None = None,
        *,
        timeout: float | None = None,
    ) -> str:
        """Queue one event and return its id. Waits while the outbox is full.

        Without `event_id` it gets a UUID, without `timestamp` the present time. Raises InvalidEvent, SpoolError, and
        PublisherClosed after `complete`. Timed out or cancelled, it has queued nothing.
        """
        if isinstance(type, EventIn):
            given = type
            type, payload, event_id, timestamp = given.type, given.payload, given.event_id, given.timestamp
        entry = self._encoder.entry(type, payload or {}, event_id, timestamp, self._max_bytes)
        async with asyncio.timeout(timeout), self._admission:
            self._check_open()
            if self._delivery.outbox.is_full:
                await self._until(lambda: not self._delivery.outbox.is_full)
                self._check_open()
            self._delivery.outbox.add(entry)
            self._taken += 1
        self._loop_running().work.set()
        return entry.event_id

    async def signal(self, key: str, payload: JsonObject) -> None:
        """Send an ephemeral message: not stored, not answered, and dropped when no connection is open.

        A newer one of the same key makes an older one void. Raises InvalidEvent.
        """
        self._check_open()
        self._encoder.check_signal(key, payload, self._max_bytes)
        self._delivery.add_signal(key, payload)
        self._loop_running().work.set()

    async def flush(self, *, timeout: float | None = None) -> None:
        """Wait until every event taken so far is durable or refused. Raises EventsRejected for refused ones."""
        target = self._taken
        async with asyncio.timeout(timeout):
            await self._until(lambda: self._taken - self.pending >= target)
        self._report_nacks(None)

    async def complete(
        self, status: FinalStatus = "completed", reason: str | None = None, *, timeout: float | None = None
    ) -> Session:
        """End the session after all that was sent, and return it as it ended (which may have been before, elsewhere).

        Asked again over reconnects. Raises EventsRejected, with the session, when events were refused. When it
        times out or is cancelled the end stays asked for.
        """
        if reason is not None and not 1 <= len(reason) <= MAX_REASON:
            raise ValueError(f"the reason must have 1 to {MAX_REASON} characters")
        self._loop_running()
        if self._delivery.ending is None:
            self._delivery.ending = Complete(status, reason)
        self._wake()
        async with asyncio.timeout(timeout):
            await self._until(lambda: self._delivery.ended and self.pending == 0)
        session = self._delivery.session
        assert session is not None, "a session that has ended has been described"
        self._report_nacks(session)
        return session

    # Inside

    @property
    def _max_bytes(self) -> int | None:
        opened = self._delivery.opened
        return None if opened is None else opened.limits.max_event_bytes

    def _check_open(self) -> None:
        self._loop_running()
        if self._failure is not None:
            raise self._failure
        if self._delivery.ending is not None:
            raise PublisherClosed("the session has been asked to end and takes nothing more from this publisher")

    def _loop_running(self) -> PublisherLoop:
        if self._loop is None:
            raise PublisherClosed("the publisher is not open: use `async with`")
        return self._loop

    def _wake(self) -> None:
        if self._loop is not None:
            self._loop.work.set()
            self._loop.changed.set()
            self._loop.changed.clear()

    async def _until(self, ready: Callable[[], bool]) -> None:
        loop = self._loop_running()
        while not ready():
            if self._failure is not None:
                raise self._failure
            await loop.changed.wait()

    def _report_nacks(self, session: Session | None) -> None:
        nacks, self._delivery.unreported = self._delivery.unreported, []
        if nacks:
            raise EventsRejected(nacks, session)

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
from turnwire.connecting.link import codec_named
from turnwire.connecting.tokens import Token, TokenSource
from turnwire.errors import PublisherClosed, Unreachable, fresh
from turnwire.protocol.messages import Complete, EventIn, EventType, FinalStatus, JsonObject, NackItem, Session
from turnwire.publishing.commands import CommandHandler, Commands
from turnwire.publishing.delivery import Acked, Delivery
from turnwire.publishing.event_encoder import EventEncoder
from turnwire.publishing.intake import Intake
from turnwire.publishing.life import PublisherLife
from turnwire.publishing.loop import Call
from turnwire.publishing.outbox import Outbox
from turnwire.publishing.spooled_outbox import SpooledOutbox

MAX_REASON = 256


class Publisher:
    """One session's publisher.

        async with Publisher("http://localhost:3000", "call-17", language="en") as call:
            call.post("user_speech", {"text": "Hello?"})
            await call.complete()

    Entering waits for the gateway, `connect_timeout` seconds at most, and creates the session if it is new; with
    `wait=False` it waits for nothing, and the gateway may come later. From then on connections may come and go: `post`
    and `send` queue, every event is sent until the gateway says that it is durable, in order and once, and nothing is
    stored twice. Leaving waits until all is stored, `drain_timeout` seconds at most, also in a task that is cancelled.

    `post` and `hint` never wait and never raise for anything but a bad payload. Calls that wait raise Superseded,
    SessionEnded or another Refused when the gateway says no for good, Unreachable once it has been away for
    `give_up_after` seconds (never, unless given), and TimeoutError after their own `timeout`. All calls belong to the
    event loop the publisher was entered in.

    Events the gateway refuses for what they are go to `on_nack`, if given; else they are logged, and `flush`,
    `complete` and leaving raise EventsRejected once for them. `nacks` has the newest 1,000. `on_ack` is told of every
    event that became durable. Callbacks must not block.
    """

    def __init__(
        self,
        url: str,
        session_id: str,
        language: str | None = "en",
        *,
        metadata: JsonObject | None = None,
        token: Token | None = None,
        codec: Literal["json", "msgpack"] = "json",
        wait: bool = True,
        drain_timeout: float = 5.0,
        max_outbox: int = 1000,
        spool: str | Path | None = None,
        connect_timeout: float | None = 30.0,
        give_up_after: float | None = None,
        on_ack: Callable[[Acked], None] | None = None,
        on_nack: Callable[[NackItem], None] | None = None,
        http: aiohttp.ClientSession | None = None,
    ) -> None:
        """`url` is the gateway's, http or ws. `language=None`: the session must exist. `metadata` is for a new session.

        `token`: a text, or a function, plain or async, that is asked for one before each connection. `spool` names a
        file that keeps what has no answer beyond this process: starting sends what is in it, first. `http` brings
        headers, TLS and proxies, and is left open. Raises ValueError for a wrong argument.
        """
        if not session_id:
            raise ValueError("the session id must not be empty")
        if metadata is not None and language is None:
            raise ValueError("metadata is for a new session, which needs a language")
        if drain_timeout < 0:
            raise ValueError(f"drain_timeout must be 0 or more seconds, not {drain_timeout}")
        TokenSource(token)
        self.session_id = session_id
        first_timeout = connect_timeout if wait else give_up_after
        self._call = Call(Address(url), session_id, language, metadata, token, first_timeout, give_up_after)
        self._wait = wait
        self._drain_timeout = drain_timeout
        self._codec = codec_named(codec)
        self._encoder = EventEncoder(self._codec)
        outbox = Outbox(max_outbox)
        if spool is not None:
            outbox = SpooledOutbox(
                max_outbox,
                Path(spool),
                gateway=self._call.address.shown,
                session_id=session_id,
                codec=self._codec,
                language=language,
                metadata=metadata,
            )
        self._delivery = Delivery(self._codec, outbox, on_ack, on_nack)
        self._life = PublisherLife(self._call, self._delivery, self._codec, http)
        self._commands = self._delivery.commands = Commands(self._life.work)
        self._intake = Intake(session_id, self._delivery, self._life)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
        if error is None:
            failure = self._life.failure
            if self.pending and failure is not None and not isinstance(failure, PublisherClosed | Unreachable):
                raise fresh(failure)
            self._delivery.report_nacks(None)

    # Life

    async def open(self) -> None:
        """What entering does; `aclose` or `close` must follow."""
        self.start()
        if self._wait:
            try:
                await self._life.opened()
            except BaseException:
                await self.close()
                raise

    def start(self) -> None:
        """Begin without waiting for the gateway, as entering with `wait=False` does; `aclose` must follow.

        Needs a running event loop. Raises SpoolError when the spool cannot be used, PublisherClosed the second time.
        """
        self._life.start()
        self._intake.begin()

    async def aclose(self) -> None:
        """What leaving does: waits until all is stored, `drain_timeout` seconds at most, and disconnects.

        Never raises for what the gateway did or did not do. What is left is in the spool, or else in `unanswered()`,
        and told by one warning. A task that is cancelled meanwhile does all this first.
        """
        await self._life.leave(self._drain_timeout)
        self._commands.close()

    async def close(self) -> None:
        """Disconnect at once; what has no ack may or may not be stored. The session goes on."""
        self._commands.close()
        await self._life.leave(None)

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
    def dropped(self) -> int:
        """How many events `post` could not take: more waited than there is room for, or the publisher had stopped."""
        return self._delivery.dropped

    @property
    def nacks(self) -> list[NackItem]:
        """The newest 1,000 events that were refused, in the order sent."""
        return list(self._delivery.nacks)

    @property
    def refused(self) -> int:
        """How many events were refused."""
        return self._delivery.refused

    @property
    def session(self) -> Session | None:
        """The session as the gateway last described it: when the connection opened, or when it ended."""
        return self._delivery.session

    def unanswered(self) -> list[EventIn]:
        """The events taken and not answered, in order, to be kept elsewhere when the publisher cannot go on."""
        return self._delivery.unanswered()

    # Calls that never wait

    def post(
        self,
        type: EventType,
        payload: JsonObject,
        *,
        event_id: str | None = None,
        timestamp: datetime | str | None = None,
    ) -> str:
        """Queue one event and return its id, at once. Raises InvalidEvent for a bad event, and nothing else.

        When `max_outbox` events wait already it goes to the spool, if there is one. Else it is dropped, as it is when
        the publisher has stopped for good or is not open: `dropped` counts these, and the first is a warning.
        """
        entry = self._encoder.entry(type, payload, event_id, timestamp, self._delivery.limits)
        self._intake.post(entry)
        return entry.event_id

    def hint(self, key: str, payload: JsonObject) -> None:
        """Send an ephemeral message: not stored, not answered, and dropped when no connection is open.

        A newer one of the same key makes an older one void. Raises InvalidEvent for a bad one, and nothing else.
        """
        encoded = self._encoder.signal(key, payload, self._delivery.limits)
        self._delivery.add_signal(key, encoded)
        self._life.work()

    def on_command(self, handler: CommandHandler, *commands: str) -> None:
        """Have commands of supervisors carried out: the named ones, or else `whisper`, `say` and `end`.

        The handler, plain or async, gets each once (`command`, `payload`, `command_id`, `by`), in order, in tasks of
        their own. When it returns it is done, a text goes with the answer; CommandRefused refuses, else it failed.
        """
        self._commands.handle(handler, commands)

    # Calls that may wait

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
        entry = self._encoder.entry(type, payload or {}, event_id, timestamp, self._delivery.limits)
        async with asyncio.timeout(timeout):
            await self._intake.send(entry)
        return entry.event_id

    async def signal(self, key: str, payload: JsonObject) -> None:
        """As `hint`; raises too when the publisher takes nothing more."""
        self._intake.check()
        self.hint(key, payload)

    async def flush(self, timeout: float | None = None) -> None:
        """Wait until every event taken so far is durable or refused. Raises EventsRejected for refused ones."""
        async with asyncio.timeout(timeout):
            await self._intake.answered()
        self._delivery.report_nacks(None)

    async def complete(
        self, status: FinalStatus = "completed", reason: str | None = None, *, timeout: float | None = None
    ) -> Session:
        """End the session after all that was sent, and return it as it ended (which may have been before, elsewhere).

        Asked again over reconnects. Raises EventsRejected, with the session, when events were refused. When it
        times out or is cancelled the end stays asked for, and leaving waits for it too.
        """
        if reason is not None and not 1 <= len(reason) <= MAX_REASON:
            raise ValueError(f"the reason must have 1 to {MAX_REASON} characters")
        if not self._life.has_started:
            self._life.check()
        if self._delivery.ending is None:
            self._commands.ending()
            self._delivery.ending = Complete(status, reason)
        self._life.wake()
        async with asyncio.timeout(timeout):
            await self._life.until(lambda: self._delivery.ended and self.pending == 0)
        session = self._delivery.session
        assert session is not None, "a session that has ended has been described"
        self._delivery.report_nacks(session)
        return session

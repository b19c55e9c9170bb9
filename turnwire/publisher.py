"""Streaming one session's events to the gateway, across reconnects."""

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
from turnwire.errors import ClientError, PublisherClosed, Unreachable, fresh
from turnwire.protocol.messages import EventIn, EventType, FinalStatus, JsonObject, NackItem, Session
from turnwire.publishing.call import Call, end_of_session
from turnwire.publishing.commands import CommandHandler, Commands
from turnwire.publishing.delivery import Acked, Delivery
from turnwire.publishing.event_encoder import EventEncoder
from turnwire.publishing.intake import Intake
from turnwire.publishing.life import PublisherLife
from turnwire.publishing.outbox import Outbox
from turnwire.publishing.spooled_outbox import SpooledOutbox


class Publisher:
    """The publisher of one session.

        async with Publisher("http://localhost:3000", "call-17", language="en") as call:
            call.post("user_speech", {"text": "Hello?"})
            await call.complete()

    Entering waits for the gateway, `connect_timeout` seconds at most, and creates the session if it is new. With
    `wait=False` it does not wait. From then on, connections may come and go: `post` and `send` queue events, and every
    event is sent, in order, until the gateway says that it is durable. No event is stored twice. Leaving waits until
    everything is stored, `drain_timeout` seconds at most, even if the task is cancelled.

    `post` and `hint` never wait, and raise only for a bad payload. Calls that wait raise Superseded, SessionEnded or
    another Refused if the gateway refuses for good, Unreachable once it has been away for `give_up_after` seconds (by
    default never), and TimeoutError after their own `timeout`. With `wait=False`, leaving raises none of this: `error`
    has it. Any thread may call `post` and `hint`; all other calls belong to the event loop of the publisher.

    Events that the gateway refuses go to `on_nack`, if given. Otherwise they are logged, and `flush`, `complete` and
    leaving, unless `wait=False`, raise EventsRejected once for them. `nacks` keeps the newest 1,000. `on_ack` is called
    for every event that became durable. Callbacks must not block.
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
        """`url` is the gateway's, http or ws. With `language=None`, the session must exist. A new one gets `metadata`.

        `token` is a string, or a function, plain or async, that returns one for each connection. `spool` names a file
        that keeps unanswered events beyond this process: a start sends its events first. `http` supplies headers, TLS
        and proxies, and stays open. Raises ValueError for a wrong argument.
        """
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
                needed=wait,
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
        if error is None and self._wait:
            failure = self.error
            if self.pending and failure is not None and not isinstance(failure, Unreachable):
                raise failure
            self._delivery.report_nacks(None)

    # Life

    async def open(self) -> None:
        """Do what entering does. `aclose` or `close` must follow."""
        self.start()
        if self._wait:
            try:
                await self._life.opened()
            except BaseException:
                await self.close()
                raise

    def start(self) -> None:
        """Start without waiting for the gateway, as entering with `wait=False` does. `aclose` must follow.

        Needs a running event loop. Raises SpoolError for a spool in use or another call's, PublisherClosed if repeated.
        """
        self._life.start()
        self._intake.begin()

    async def aclose(self) -> None:
        """Do what leaving does: wait until everything is stored, `drain_timeout` seconds at most, then disconnect.

        Never raises because of the gateway. Events left over are in the spool, or else in `unanswered()`; one warning
        counts them. If the task is cancelled meanwhile, it still does all this first.
        """
        await self._life.leave(self._drain_timeout)
        self._commands.close()

    async def close(self) -> None:
        """Disconnect at once. Events without an ack may or may not be stored. The session stays open."""
        self._commands.close()
        await self._life.leave(None)

    # State

    @property
    def connected(self) -> bool:
        """Whether a connection is open now."""
        return self._delivery.is_open

    @property
    def pending(self) -> int:
        """The number of queued events without an answer."""
        return len(self._delivery.outbox)

    @property
    def dropped(self) -> int:
        """The number of events that `post` dropped: the outbox was full, or the publisher had stopped."""
        return self._delivery.dropped

    @property
    def nacks(self) -> list[NackItem]:
        """The newest 1,000 refusals, in the order sent."""
        return list(self._delivery.nacks)

    @property
    def refused(self) -> int:
        """How many events were refused."""
        return self._delivery.refused

    @property
    def session(self) -> Session | None:
        """The session as the gateway last described it: when a connection opened, or when the session ended."""
        return self._delivery.session

    @property
    def error(self) -> ClientError | None:
        """Why the publisher has stopped by itself, such as Superseded; None otherwise, and after leaving."""
        failure = self._life.failure
        return None if failure is None or isinstance(failure, PublisherClosed) else fresh(failure)

    def unanswered(self) -> list[EventIn]:
        """Return the queued events without an answer, in order, to be kept elsewhere if the publisher cannot go on."""
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
        """Queue one event and return its id, without waiting. Raises InvalidEvent for a bad event, and nothing else.

        If `max_outbox` events wait already, the event goes to the spool, or is dropped if there is none. It is dropped,
        too, if the publisher is not open or has stopped. `dropped` counts such events; the first one logs a warning.
        """
        entry = self._encoder.entry(type, payload, event_id, timestamp, self._delivery.limits)
        self._intake.post(entry)
        return entry.event_id

    def hint(self, key: str, payload: JsonObject) -> None:
        """Send an ephemeral message: not stored, not answered, and dropped if no connection is open.

        It replaces an older one of the same key. Raises InvalidEvent for a bad key or payload, and nothing else.
        """
        encoded = self._encoder.signal(key, payload, self._delivery.limits)
        self._intake.hint(key, encoded)

    def on_command(self, handler: CommandHandler, *commands: str) -> None:
        """Call `handler` for supervisors' commands: the named ones, or by default `whisper`, `say` and `end`.

        The handler, plain or async, gets each command once (`command`, `payload`, `command_id`, `by`), in its own task.
        A string that it returns is sent with the answer. CommandRefused refuses the command; any other error fails it.
        Raises ValueError for a name that no command can have.
        """
        self._life.call(self._commands.handle, handler, commands)

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
        """Queue one event and return its id, waiting while the outbox is full.

        The default `event_id` is a UUID, the default `timestamp` the present time. Raises InvalidEvent, SpoolError, and
        PublisherClosed after `complete`. If it times out or is cancelled, nothing is queued.
        """
        if isinstance(type, EventIn):
            given = type
            type, payload, event_id, timestamp = given.type, given.payload, given.event_id, given.timestamp
        entry = self._encoder.entry(
            type, {} if payload is None else payload, event_id, timestamp, self._delivery.limits
        )
        async with asyncio.timeout(timeout):
            await self._intake.send(entry)
        return entry.event_id

    async def signal(self, key: str, payload: JsonObject) -> None:
        """Do the same as `hint`, but raise if the publisher accepts nothing more."""
        self._intake.check()
        self.hint(key, payload)

    async def flush(self, timeout: float | None = None) -> None:
        """Wait until every event queued so far is durable or refused. Raises EventsRejected for refused ones."""
        async with asyncio.timeout(timeout):
            await self._intake.answered()
        self._delivery.report_nacks(None)

    async def complete(
        self, status: FinalStatus = "completed", reason: str | None = None, *, timeout: float | None = None
    ) -> Session:
        """End the session after all queued events, and return it as it ended (perhaps earlier, by another client).

        The request survives reconnects. Raises EventsRejected, with the session, if events were refused, and ValueError
        for a wrong argument. After a timeout or cancellation the request stands, and leaving waits for the end too.
        """
        end = end_of_session(status, reason)
        if not self._life.has_started:
            self._life.check()
        if self._delivery.ending is None:
            self._commands.ending()
            self._delivery.ending = end
        self._life.wake()
        async with asyncio.timeout(timeout):
            await self._life.until(lambda: self._delivery.ended and self.pending == 0)
        session = self._delivery.session
        assert session is not None, "a session that has ended has been described"
        self._delivery.report_nacks(session)
        return session

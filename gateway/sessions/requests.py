"""The requests of REST and sockets about sessions, answered with what the store knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from msgspec import Struct

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.conversing import freshen
from turnwire.gateway.live.grace import grace_left
from turnwire.gateway.live.items import (
    AmendItem,
    AppendItem,
    CommandItem,
    CommandProgress,
    Condition,
    EndItem,
    Item,
    RenewItem,
    Stored,
)
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.sessions.loading import load
from turnwire.protocol.control.commands import Command
from turnwire.protocol.errors import NoSuchSession, Overloaded, SessionErased
from turnwire.protocol.messages import EventIn, FinalStatus, InitialStatus, JsonObject, Session
from turnwire.store.session_record import new_life
from turnwire.store.sessions import SessionRecord
from turnwire.store.waiting import Deadlines, storage_deadline

T = TypeVar("T")


class View(Struct, frozen=True):
    """A session in its current state, whether its timestamps rise with seq, its life, which its events share, and the
    time of its creation, which may be later than its start."""

    session: Session
    time_ordered: bool
    life: int | None
    created_at: datetime
    takes_events: bool
    """Whether it has not ended, or its grace time is not over."""

    @classmethod
    def of(cls, session: Session, record: SessionRecord, *, takes_events: bool) -> View:
        created_at = record.created_at or record.started_at
        return cls(session, record.time_ordered, record.life, created_at, takes_events)


def view_of(state: SessionState) -> View:
    """Return a session in memory as it is known here."""
    return View.of(state.session(), state.record, takes_events=state.takes_events)


class Requests:
    """Answers requests within `rest_timeout` seconds, or raises StorageUnavailable. Holds only their deadlines."""

    def __init__(self, context: Context, sessions: LiveSessions, *, rest_timeout: float) -> None:
        self._context = context
        self._sessions = sessions
        self._rest_timeout = rest_timeout
        self._clock: Callable[[], float] = context.clock
        self._loop = asyncio.get_running_loop()
        self._deadlines = Deadlines(self._loop)
        self._most_waiting = 4 * max(context.limits.in_flight, context.limits.batch_events)
        self._most_waiting_bytes = 4 * context.limits.frame_bytes

    async def bring_up_to_date(self, live: LiveSession) -> None:
        """Adopt what other gateways have stored of the session. Raises SessionErased, StorageUnavailable.

        Does nothing unless the database is shared. A publisher here does not prove that the session is up to date,
        because another one may have superseded it at another gateway.
        """
        if not self._context.shared_database:
            return
        with live.held():
            if await self._is_behind(live):
                done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                live.submit(RenewItem(done))
                await self._deadlines.result(done, self._clock() + self._rest_timeout)

    async def _is_behind(self, live: LiveSession) -> bool:
        try:
            stored = (await load(self._context.store, live.session_id, live.state.record)).record
        except NoSuchSession:
            return True
        in_doubt = live.state.log.as_of != self._context.store.events.troubles
        return in_doubt or live.state.is_behind(stored)

    def must_ask(self, session_id: str) -> bool:
        """Return whether `open` has to ask the database."""
        return self._context.shared_database or session_id not in self._sessions.live

    async def open(self, session_id: str) -> LiveSession:
        """Return the session as it is now, in memory, as `LiveSessions.open` does.

        Raises NoSuchSession, StorageUnavailable, Overloaded.
        """
        while True:
            live = await self._sessions.open(session_id)
            with suppress(SessionErased), live.held():  # after an erasure there may be a new session of this id
                await self.bring_up_to_date(live)
                return live

    async def view(self, session_id: str) -> View:
        """Return the session as it is now. It is not kept in memory. Raises NoSuchSession, StorageUnavailable."""
        live = self._sessions.live.get(session_id)
        if live is not None:
            with suppress(SessionErased):
                await freshen(live.state)
                await self.bring_up_to_date(live)
                return view_of(live.state)
        record = (await load(self._context.store, session_id)).record
        takes_events = record.ended_at is None or grace_left(record.ended_at, self._context.end_grace) > 0
        return View.of(record.session(), record, takes_events=takes_events)

    async def exists(self, session_id: str) -> bool:
        """Return whether the session exists. Raises StorageUnavailable."""
        if session_id in self._sessions.live:
            return True
        async with storage_deadline(self._rest_timeout):
            return await self._context.store.sessions.load(session_id) is not None

    async def create(
        self,
        *,
        session_id: str,
        language: str,
        metadata: JsonObject,
        status: InitialStatus,
        started_at: datetime | None = None,
        creation: str | None = None,
    ) -> tuple[Session, bool]:
        """Create the session, unless it exists. Return its current state, and whether it was created.

        It starts now unless `started_at` is given. `creation` identifies the request, if more than the session belongs
        to it; it is kept until `SessionStore.finish_creation`.
        """
        while True:
            live = self._sessions.live.get(session_id)
            created = False
            if live is None:
                now = utc_now()
                record = SessionRecord(
                    session_id, language, started_at or now, status=status, metadata=metadata, life=new_life()
                )
                record.created_at = None if started_at is None else now
                record.creation = creation
                live, created = await self._sessions.create(record)
            with suppress(SessionErased):
                if not created:
                    await self.bring_up_to_date(live)
                return live.state.session(), created

    def append(
        self, session_id: str, events: Sequence[EventIn], weight: int, condition: Condition | None = None
    ) -> Coroutine[None, None, list[Stored]]:
        """Append all of these events or none; `weight` is their size in bytes. Return the answers in order.

        The `condition`, which must raise only TurnwireErrors, is checked again if other events come in between. Raises
        NoSuchSession, SessionHasEnded, Overloaded, what the condition raises, and StorageUnavailable, after which the
        events may or may not be stored.
        """
        return self._ask(
            session_id,
            lambda done: AppendItem(events, weight, utc_now(), done=done, condition=condition),
            check=self._check_room,
        )

    def _check_room(self, live: LiveSession) -> None:
        if live.waiting_events > self._most_waiting or live.waiting_bytes > self._most_waiting_bytes:
            raise Overloaded(f"session {live.session_id!r} has too many events waiting; try again", "waiting")
        if self._context.waiting.full:
            raise Overloaded("too many events wait for the storage; try again", "waiting")

    async def complete(
        self,
        session_id: str,
        status: FinalStatus,
        reason: str | None,
        ended_at: datetime | None = None,
        condition: Condition | None = None,
    ) -> tuple[Session, bool]:
        """End the session, now or at a time in the past. Return it, and whether this call ended it."""
        return await self._ask(session_id, lambda done: EndItem(status, reason, None, done, ended_at, condition))

    async def command(self, session_id: str, command: Command) -> CommandProgress:
        """Send a command to the session's bot. Return its state once the command is durable.

        A command that was requested before is not sent again. Raises NoSuchSession, SessionHasEnded, NotAccepted,
        StorageUnavailable, Overloaded, and EVENT_CONFLICT if the commandId belongs to another command.
        """
        return await self._ask(session_id, lambda done: CommandItem(command, done))

    async def amend(self, session_id: str, metadata: JsonObject | None, language: str | None) -> Session:
        """Patch the session's metadata (RFC 7396), set its language, or both. Return the session.

        Raises NoSuchSession, StorageUnavailable, and InvalidMessage or TooLarge if the patched metadata is over a
        limit.
        """
        return await self._ask(session_id, lambda done: AmendItem(metadata, language, done))

    async def _ask(
        self,
        session_id: str,
        make: Callable[[asyncio.Future[T]], Item],
        check: Callable[[LiveSession], None] | None = None,
    ) -> T:
        """Return the answer of the session's task to an item. The current session is meant: if memory still holds one
        that was erased at another gateway, the new one of its id is asked."""
        end = self._clock() + self._rest_timeout
        while True:
            live = self._sessions.live.get(session_id) or await self._open_in_time(session_id)
            if check is not None:
                check(live)
            done: asyncio.Future[T] = self._loop.create_future()
            live.submit(make(done))
            try:
                return await self._deadlines.result(done, end)
            except SessionErased:
                continue

    async def _open_in_time(self, session_id: str) -> LiveSession:
        async with storage_deadline(self._rest_timeout):
            return await self._sessions.open(session_id)

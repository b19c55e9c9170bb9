"""The requests of REST and sockets about sessions, answered with what the store knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from msgspec import Struct

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.items import (
    AmendItem,
    AppendItem,
    CommandItem,
    CommandProgress,
    EndItem,
    RenewItem,
    Stored,
)
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.sessions.loading import load
from turnwire.protocol.control.commands import Command
from turnwire.protocol.errors import Overloaded
from turnwire.protocol.messages import EventIn, FinalStatus, InitialStatus, JsonObject, Session
from turnwire.store.sessions import SessionRecord
from turnwire.store.waiting import result_within, storage_deadline


class View(Struct, frozen=True):
    """A session as it is now, and whether its timestamps rise with seq."""

    session: Session
    time_ordered: bool


class Requests:
    """Answers requests within `rest_timeout` seconds, or raises StorageUnavailable. Has no state of its own."""

    def __init__(self, context: Context, sessions: LiveSessions, *, rest_timeout: float) -> None:
        self._context = context
        self._sessions = sessions
        self._rest_timeout = rest_timeout
        self._clock: Callable[[], float] = context.clock
        self._most_waiting = 4 * max(context.limits.in_flight, context.limits.batch_events)
        self._most_waiting_bytes = 4 * context.limits.frame_bytes

    async def bring_up_to_date(self, live: LiveSession) -> None:
        """Take over what other gateways have stored of the session. Raises NoSuchSession, StorageUnavailable.

        Does nothing unless the database is shared. A publisher here is no proof that the session is up to date:
        another one may have superseded it at another gateway.
        """
        if not self._context.shared_database:
            return
        with live.held() as state:
            stored = (await load(self._context.store, live.session_id, state.record)).record
            in_doubt = state.log.as_of != self._context.store.events.troubles
            if in_doubt or state.is_behind(stored):
                done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                live.submit(RenewItem(done))
                await result_within(done, self._rest_timeout)

    async def view(self, session_id: str) -> View:
        """Return the session as it is now. It is not kept in memory. Raises NoSuchSession, StorageUnavailable."""
        live = self._sessions.live.get(session_id)
        if live is not None:
            await self.bring_up_to_date(live)
            return View(live.state.session(), live.state.record.time_ordered)
        record = (await load(self._context.store, session_id)).record
        return View(record.session(), record.time_ordered)

    async def exists(self, session_id: str) -> bool:
        """Return whether the session exists. Raises StorageUnavailable."""
        if session_id in self._sessions.live:
            return True
        async with storage_deadline(self._rest_timeout):
            return await self._context.store.sessions.load(session_id) is not None

    async def create(
        self, *, session_id: str, language: str, metadata: JsonObject, status: InitialStatus
    ) -> tuple[Session, bool]:
        """Create the session, unless it exists. Return it as it is now, and whether it was created."""
        live = self._sessions.live.get(session_id)
        created = False
        if live is None:
            record = SessionRecord(session_id, language, utc_now(), status=status, metadata=metadata)
            live, created = await self._sessions.create(record)
        if not created:
            await self.bring_up_to_date(live)
        return live.state.session(), created

    async def append(self, session_id: str, events: Sequence[EventIn], weight: int) -> list[Stored]:
        """Append all of these events or none; `weight` is their size in bytes. Return the answers in order.

        Raises NoSuchSession, SessionHasEnded, Overloaded, and StorageUnavailable, after which the events may or may not
        be stored.
        """
        end = self._clock() + self._rest_timeout
        live = await self._open_in_time(session_id)
        if live.waiting_events > self._most_waiting or live.waiting_bytes > self._most_waiting_bytes:
            raise Overloaded(f"session {session_id!r} has too many events waiting; try again")
        if self._context.waiting.full:
            raise Overloaded("too many events wait for the storage; try again")
        done: asyncio.Future[list[Stored]] = asyncio.get_running_loop().create_future()
        live.submit(AppendItem(events, weight, utc_now(), done=done))
        return await result_within(done, end - self._clock())

    async def complete(self, session_id: str, status: FinalStatus, reason: str | None) -> tuple[Session, bool]:
        """End the session. Return it, and whether this call ended it."""
        end = self._clock() + self._rest_timeout
        live = await self._open_in_time(session_id)
        done: asyncio.Future[tuple[Session, bool]] = asyncio.get_running_loop().create_future()
        live.submit(EndItem(status, reason, done=done))
        return await result_within(done, end - self._clock())

    async def command(self, session_id: str, command: Command) -> CommandProgress:
        """Send a command to the session's bot. Return its state once the command is durable.

        A command that was requested before is not sent again. Raises NoSuchSession, SessionHasEnded, NotAccepted,
        StorageUnavailable, Overloaded, and EVENT_CONFLICT if the commandId belongs to another command.
        """
        end = self._clock() + self._rest_timeout
        live = await self._open_in_time(session_id)
        done: asyncio.Future[CommandProgress] = asyncio.get_running_loop().create_future()
        live.submit(CommandItem(command, done))
        return await result_within(done, end - self._clock())

    async def amend(self, session_id: str, metadata: JsonObject | None, language: str | None) -> Session:
        """Patch the session's metadata (RFC 7396), set its language, or both. Return the session.

        Raises NoSuchSession, StorageUnavailable, and InvalidMessage or TooLarge if the patched metadata is over a
        limit.
        """
        end = self._clock() + self._rest_timeout
        live = await self._open_in_time(session_id)
        done: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        live.submit(AmendItem(metadata, language, done))
        return await result_within(done, end - self._clock())

    async def _open_in_time(self, session_id: str) -> LiveSession:
        live = self._sessions.live.get(session_id)
        if live is None:
            async with storage_deadline(self._rest_timeout):
                live = await self._sessions.open(session_id)
        return live

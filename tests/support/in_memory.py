"""Gateways without sockets on a model of the database, in virtual time: real sessions, a real store, no waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from itertools import count
from random import Random
from typing import Any

import pytest

from tests.support.faults.database import MemoryDatabase
from tests.support.faults.line import Line
from turnwire.gateway.config import Config
from turnwire.gateway.finding.search import Search
from turnwire.gateway.live import advancing, amending, claiming, ending, erasing, grace, instructing
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.items import AppendItem, ClaimItem, EndItem, Stored
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.live.log import known_log, log_writer
from turnwire.gateway.live.parties import Storing
from turnwire.gateway.peers.bus import Bus
from turnwire.gateway.running.periodic import Periodic
from turnwire.gateway.running.sessions import SessionParts
from turnwire.gateway.sessions import erasing as removing
from turnwire.gateway.sessions import live_sessions, log_tails, requests, sweeping, tending
from turnwire.gateway.telemetry.metrics import Metrics
from turnwire.protocol import rules
from turnwire.protocol.control.messages import CommandPush
from turnwire.protocol.messages import (
    AckItem,
    BadEvent,
    Event,
    EventIn,
    FinalStatus,
    JsonObject,
    NackItem,
    Opened,
    Session,
)
from turnwire.store import digests
from turnwire.store.archive import marks
from turnwire.store.mongo import Store
from turnwire.store.sessions import SessionRecord

STARTED = datetime(2025, 1, 1, tzinfo=UTC)
_LONGEST_SECONDS = 120.0
"""Virtual."""
_FINE_STEPS = 2000
"""How often a condition is looked at once per virtual millisecond, before the looks become rarer."""


class Seat:
    """A publisher, as its session sees it. It keeps everything it is told."""

    def __init__(self, epoch: int = 0, holder: str = "bot", *, admin: bool = False) -> None:
        self.epoch = epoch
        self.holder = holder
        self.admin = admin
        self.replaced: str | None = None
        """The holder of the session before this publisher took it over."""
        self.finished = False
        self.opened: Opened | None = None
        self.answers: list[AckItem | NackItem] = []
        self.weight = 0
        """Bytes of the events answered."""
        self.ended: list[Session] = []
        self.was_superseded = False
        self.codes: list[int] = []
        """The close code and reason."""

    def acked(self, acks: list[AckItem], weight: int) -> None:
        self.replied(acks, weight)

    def replied(self, replies: Sequence[AckItem | NackItem], weight: int) -> None:
        self.answers += replies
        self.weight += weight

    def completed(self, session: Session) -> None:
        self.finished = True
        self.ended.append(session)

    def session_ended(self, session: Session) -> None:
        self.ended.append(session)

    def commanded(self, command: CommandPush) -> None:
        """Ignore the command: this publisher accepts none."""

    def superseded(self) -> None:
        self.finished = self.was_superseded = True

    def close(self, code: int, reason: str) -> None:
        self.codes.append(code)

    def may_take_from(self, holder: str) -> bool:
        return self.admin or holder == self.holder

    def took_over(self, holder: str | None) -> None:
        self.replaced = holder

    @property
    def seqs(self) -> list[int | None]:
        """The seqs of its answers in order; None for a nack."""
        return [answer.seq if isinstance(answer, AckItem) else None for answer in self.answers]

    @property
    def nacks(self) -> list[tuple[str | None, str]]:
        """(eventId, code) of each refused event."""
        return [(answer.event_id, str(answer.code)) for answer in self.answers if isinstance(answer, NackItem)]

    @property
    def duplicates(self) -> list[str]:
        return [answer.event_id for answer in self.answers if isinstance(answer, AckItem) and answer.duplicate]

    async def heard(self, count: int) -> list[int | None]:
        """Wait until there are this many answers. Return their seqs."""
        await until(lambda: len(self.answers) >= count)
        return self.seqs


class Crowd:
    """The audience of one session. It keeps everything it is shown."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.signals: list[str] = []
        self.changes = 0
        self.was_erased = False

    def advanced(self, events: Sequence[Event], storing: Storing) -> None:
        self.events += events

    def signalled(self, key: str, payload: JsonObject) -> None:
        self.signals.append(key)

    def session_changed(self, session: Session) -> None:
        self.changes += 1

    def erased(self) -> None:
        self.was_erased = True

    def rolled_back(self, last_seq: int) -> None:
        raise AssertionError("the database keeps what it has confirmed")


class MemoryGateway:
    """All parts of a gateway that know no sockets. It shares the database with others of its kind, unless `alone`."""

    def __init__(
        self,
        database: MemoryDatabase,
        *,
        alone: bool = False,
        bus: Bus | None = None,
        searching: Callable[[Store], Search] | None = None,
        **settings: Any,
    ) -> None:
        """`searching` makes its search, which nobody runs yet."""
        self.config = _config(**{"mongodb_uri": None if alone else "mongodb://model", **settings})
        self.database = database
        self.line = Line(database, 0.0)
        self.store = Store(self.line, "model")
        self.line.send_at_once(self.store)
        search, clock = searching and searching(self.store), asyncio.get_running_loop().time
        self.parts = SessionParts(self.config, self.store, Metrics(), clock, bus=bus, search=search)
        self.parts.turns.clock = clock  # no pause because the machine is slow
        self.sessions, self.requests = self.parts.sessions, self.parts.requests
        self.told = _record_calls(self.parts.context.observer)
        """(method, arguments) of every call of the observer."""
        self.sessions.prepared.set()
        self._periodic = Periodic()

    @property
    def context(self) -> Context:
        return self.parts.context

    @property
    def live(self) -> dict[str, LiveSession]:
        return self.sessions.live

    def heard(self, method: str) -> list[tuple[Any, ...]]:
        """Return the arguments of each call of this method of the observer."""
        return [arguments for name, arguments in self.told if name == method]

    def start(self) -> None:
        """Start the periodic work of the sessions."""
        self.parts.start(self._periodic)

    async def stop(self) -> None:
        await self._periodic.stop()
        await self.parts.stop()
        await self.store.close()

    async def create(self, session_id: str = "s", *events: EventIn, **fields: Any) -> LiveSession:
        """Create a session with these events, in memory here."""
        live, _ = await self.sessions.create(record(session_id, **fields))
        if events:
            await self.append(live, *events)
        return live

    async def open(self, session_id: str = "s") -> LiveSession:
        return await self.sessions.open(session_id)

    async def append(self, live: LiveSession, *events: EventIn) -> list[Stored]:
        """Append by REST."""
        return await self.requests.append(live.session_id, list(events), 100)

    async def claim(self, live: LiveSession, seat: Seat | None = None) -> Seat:
        seat = seat or Seat()
        done: asyncio.Future[Opened] = asyncio.get_running_loop().create_future()
        live.submit(ClaimItem(seat, done))
        seat.opened = await done
        return seat

    async def end(
        self, live: LiveSession, status: FinalStatus = "completed", reason: str | None = None, seat: Seat | None = None
    ) -> tuple[Session, bool]:
        done: asyncio.Future[tuple[Session, bool]] = asyncio.get_running_loop().create_future()
        live.submit(EndItem(status, reason, publisher=seat, done=done))
        return await done

    async def log(self, session_id: str = "s") -> list[str]:
        """Return the stored eventIds in order, as any client may read them."""
        return [event.event_id for event in await self.store.events.head_after(session_id, 0)]

    async def stored(self, session_id: str = "s") -> SessionRecord:
        found = await self.store.sessions.load(session_id)
        assert found is not None
        return found


@cache
def _config(**settings: Any) -> Config:
    """Return the settings, which nothing changes. Reading them again would take 4 ms."""
    return Config(**settings)


def _record_calls(observer: object) -> list[tuple[str, tuple[Any, ...]]]:
    """Keep every call of this observer from now on, and pass it on."""
    told: list[tuple[str, tuple[Any, ...]]] = []

    def tell(name: str, listener: Callable[..., None], *arguments: Any, **options: Any) -> None:
        told.append((name, arguments))
        listener(*arguments, **options)

    for name in ("advanced", "changed", "created", "unwritten", "written", "round_answered", "taken_over", "erased"):
        setattr(observer, name, partial(tell, name, getattr(observer, name)))
    return told


def memory_database() -> MemoryDatabase:
    return MemoryDatabase(Random(0))


def record(session_id: str = "s", **fields: Any) -> SessionRecord:
    return SessionRecord(session_id, "en", STARTED, **fields)


def event(event_id: str, payload: JsonObject | None = None, at: int | None = None) -> EventIn:
    """Return an event. `at`: its timestamp, in milliseconds after STARTED; None leaves it to the gateway."""
    moment = None if at is None else STARTED + timedelta(milliseconds=at)
    return EventIn(event_id, "user_speech", payload or {}, moment)


def events(*event_ids: str) -> list[EventIn]:
    return [event(each) for each in event_ids]


def send(live: LiveSession, seat: Seat, *sent: EventIn | BadEvent) -> None:
    """Append as a publisher does, without waiting for the answer."""
    live.submit(AppendItem(sent, 10 * len(sent), STARTED, publisher=seat))


def itself(session: Session) -> Session:
    """Return a session of a list unchanged."""
    return session


async def until(condition: Callable[[], bool]) -> None:
    """Let virtual time pass until the condition holds. Raises TimeoutError if it never does."""
    async with asyncio.timeout(_LONGEST_SECONDS):
        for step in count():
            if condition():
                return
            await asyncio.sleep(0.001 if step < _FINE_STEPS else 0.01)


def virtual_now() -> datetime:
    """Return the wall clock of virtual time."""
    return STARTED + timedelta(milliseconds=int(asyncio.get_running_loop().time() * 1000))


def set_wall_clock(patch: pytest.MonkeyPatch, now: Callable[[], datetime] = virtual_now) -> None:
    """Make the sessions see this wall clock; by default, that of virtual time."""
    modules = (advancing, amending, claiming, ending, erasing, grace, instructing, live_sessions, removing, requests)
    for module in (*modules, sweeping, tending):
        patch.setattr(module, "utc_now", now)


async def pass_time(seconds: float) -> None:
    """Run in virtual time, in which nobody really waits."""
    await asyncio.sleep(seconds)


def shrink_pages(patch: pytest.MonkeyPatch, size: int) -> None:
    """Make digest pages hold few events, and tails two."""
    for module in (log_tails, log_writer):
        patch.setattr(module, "MIN_TAIL", 2)
    for module in (rules, known_log, digests, marks):
        patch.setattr(module, "DIGEST_PAGE", size)

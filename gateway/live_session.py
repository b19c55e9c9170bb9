"""One running session: everything that changes it goes through its inbox and is done by its one task."""

from __future__ import annotations

import asyncio
import logging
import random
from array import array
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

from gateway.append_round import AppendRound
from gateway.event_batch import EventBatch
from gateway.inbox import Abandon, Append, Claim, End, Inbox, Item, SignalItem
from protocol.errors import CloseCode, ErrorCode, SessionEnded, StorageUnavailable, Superseded, TurnwireError
from protocol.messages import Event, EventIn, FinalStatus, Opened, OpenedLimits, Session, SessionStatus
from protocol.rules import DIGEST_PAGE, Ledger, has_ended, status_after_event
from protocol.times import format_time, to_millis
from store.event_log import READ_WINDOW, RefusedDocument, event_document, pack_times
from store.on_demand import OnDemandTask
from store.sessions import SessionRecord

if TYPE_CHECKING:
    from gateway.hub import Hub
    from gateway.publisher import PublisherConnection

_log = logging.getLogger("turnwire.session")
T = TypeVar("T")


class Watcher(Protocol):
    """Someone who follows the session."""

    def offer(self, batch: EventBatch) -> None: ...
    def signal(self, key: str, payload: dict[str, object]) -> None: ...
    def session_changed(self) -> None: ...


def utc_now() -> datetime:
    """The gateway's clock, in milliseconds."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class LiveSession:
    """A session in memory. Owner of all that follows: its task, which is the only one to change it.

    `record.last_seq` is the durable head; it and the offers to watchers move in one step without an await, so a
    watcher that has read up to `record.last_seq` can join the live stream there.
    """

    def __init__(self, hub: Hub, record: SessionRecord) -> None:
        self.hub = hub
        self.record = record
        self.publisher: PublisherConnection | None = None
        self.watchers: set[Watcher] = set()
        self.last_event_id: str | None = None
        self.last_used = hub.clock()
        self.last_active = hub.clock()
        """When a publisher or an event was last here, on the loop's clock."""
        self.busy_since: float | None = None
        """Since when the task has been at its current item."""
        self.unsaved_digests: list[tuple[int, bytes, bytes]] = []
        """(page, ids, times) of full pages of the log."""
        self._ledger: Ledger | None = None
        self._times = array("q")  # of the events behind the last full page, in seq order
        self._inbox = Inbox()
        self._task = OnDemandTask(self._work)
        self._grace: asyncio.TimerHandle | None = None
        self._takes_events_until: float | None = None
        if has_ended(record.status):
            self._start_grace()

    # --- what others ask ---------------------------------------------------------------------------------------------

    @property
    def session_id(self) -> str:
        return self.record.session_id

    def session(self) -> Session:
        """The session as it is now, lazy fields included."""
        return self.record.session()

    @property
    def ended(self) -> bool:
        return has_ended(self.record.status)

    @property
    def takes_events(self) -> bool:
        """Whether new events may be appended: it has not ended, or only just."""
        return self._takes_events_until is None or self.hub.clock() < self._takes_events_until

    @property
    def waiting_events(self) -> int:
        return self._inbox.waiting

    @property
    def idle(self) -> bool:
        """Whether nothing and nobody needs it in memory."""
        return not (self.publisher or self.watchers or self._inbox or self._task.running or self.unsaved_digests)

    def submit(self, item: Item) -> None:
        """Put an item behind those that wait."""
        self.last_used = self.hub.clock()
        self._inbox.put(item)
        self._task.wake()

    def release(self, publisher: PublisherConnection) -> None:
        """The publisher's connection has ended."""
        if self.publisher is publisher:
            self.publisher = None
            self.last_active = self.last_used = self.hub.clock()

    async def stop(self) -> None:
        """End the task; what waits gets no answer but an error."""
        if self._grace is not None:
            self._grace.cancel()
        await self._task.stop()
        for item in self._inbox.clear():
            _fail([item], StorageUnavailable("the gateway is going away; try again"))

    # --- the task ----------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while self._inbox:
            taken = self._inbox.take()
            self.busy_since = self.hub.clock()
            try:
                await self._process(taken)
            except TurnwireError as error:
                _fail(taken if isinstance(taken, list) else [taken], error)
            except asyncio.CancelledError:
                _fail(taken if isinstance(taken, list) else [taken], StorageUnavailable())
                raise
            except Exception:
                _log.exception("session %r: unexpected error", self.session_id)
                self._give_up(taken if isinstance(taken, list) else [taken])
            finally:
                self.busy_since = None

    async def _process(self, taken: Item | list[Append]) -> None:
        match taken:
            case list():
                await self._append([item for item in taken if not self._is_fenced(item.publisher)])
            case SignalItem():
                if not self._is_fenced(taken.publisher):
                    for watcher in tuple(self.watchers):
                        watcher.signal(taken.key, taken.payload)
            case End():
                await self._complete(taken)
            case Claim():
                await self._claim(taken)
            case Abandon():
                await self._abandon()

    def _is_fenced(self, publisher: PublisherConnection | None) -> bool:
        return publisher is not None and (publisher.finished or publisher.epoch < self.record.epoch)

    def _give_up(self, items: Sequence[Item]) -> None:
        """Something unforeseen: forget what is known of the log, end the publisher, start afresh with the next item."""
        self._ledger = None
        _fail(items, TurnwireError(ErrorCode.INTERNAL, "the gateway failed; try again"))
        if self.publisher is not None:
            self.publisher.close(CloseCode.INTERNAL, "the gateway failed; reconnect")

    async def _persist(
        self, operation: Callable[[], Awaitable[T]], wanted: asyncio.Future[Opened] | None = None
    ) -> T:
        """Do it against the store, again and again while that is away, or until nobody waits for `wanted`."""
        delay = 0.05
        while True:
            try:
                return await operation()
            except StorageUnavailable:
                if wanted is not None and wanted.done():
                    raise
                await asyncio.sleep(random.uniform(0.5, 1.0) * delay)
                delay = min(1.0, delay * 2)

    # --- appending ---------------------------------------------------------------------------------------------------

    async def _append(self, appends: list[Append]) -> None:
        if not appends:
            return
        ledger = self._ledger or await self._load_ledger()
        candidates = AppendRound.candidates(ledger, appends)
        stored: dict[int, Event] = {}
        if candidates:
            found = await self._persist(lambda: self.hub.store.events.read_at(self.session_id, candidates))
            stored = {event.seq: event for event in found}
        round_ = AppendRound(ledger, stored)
        ended = None if self.takes_events else SessionEnded(self.session_id, self.session().ended_at)
        for append in appends:
            round_.admit(append, ended)
        durable: list[tuple[int, EventIn] | Event] = []
        foreign: dict[str, Event] = {}
        await self._keep_time_order(ledger)
        try:
            await self._commit(ledger, round_, durable, foreign, sum(append.weight for append in appends))
        except Superseded as error:
            ledger.forget_pending()
            self._advance(durable, needed=False)
            self._fence(error)
            return await self._append([append for append in appends if not self._is_fenced(append.publisher)])
        needed = any(append.done is not None for append in appends)
        round_.answer(self._advance(durable, needed=needed), foreign)
        self.hub.count_round(*round_.counts())
        self._fold(ledger)

    async def _commit(
        self,
        ledger: Ledger,
        round_: AppendRound,
        durable: list[tuple[int, EventIn] | Event],
        foreign: dict[str, Event],
        weight: int,
    ) -> None:
        """Bring all that is pending into the log. Raises Superseded when a newer publisher has been at it."""
        while pending := list(ledger.pending()):
            documents = [event_document(self.session_id, seq, event, _time(event)) for seq, event in pending]
            try:
                stored = await self.hub.store.events.append(self.session_id, documents, weight)
            except RefusedDocument as error:
                refused = pending[error.index][1].event_id
                _log.error("session %r: %s", self.session_id, error)
                round_.refuse(refused, error.reason)
                ledger.drop_pending(refused)
                continue
            if stored == len(documents):
                ledger.settle()
                durable += pending
                return
            for seq, event in pending[:stored]:
                ledger.learn(seq, event.event_id)
            durable += pending[:stored]
            await self._read_on(ledger, durable, foreign)

    async def _read_on(
        self, ledger: Ledger, durable: list[tuple[int, EventIn] | Event], foreign: dict[str, Event]
    ) -> None:
        """The next position is taken: learn what stands there, and who wrote it."""
        while not (found := await self._persist(lambda: self.hub.store.events.head_after(self.session_id, ledger.head))):
            await asyncio.sleep(0.01)  # taken, but not yet on a majority
        for event in found:
            ledger.learn(event.seq, event.event_id)
            foreign[event.event_id] = event
            durable.append(event)
        record = await self._persist(lambda: self.hub.store.sessions.load(self.session_id))
        if record is not None:
            self.record.time_ordered = self.record.time_ordered and record.time_ordered
            self._adopt_end(record)
            if record.epoch > self.record.epoch:
                self.record.epoch = record.epoch
                raise Superseded(self.session_id)

    async def _keep_time_order(self, ledger: Ledger) -> None:
        """Before an event is stored whose timestamp is before its predecessor's, that is noted on the session."""
        last = self.record.last_event_at
        if not self.record.time_ordered:
            return
        for _, event in ledger.pending():
            time = _time(event)
            if last is not None and time < last:
                self.record.time_ordered = False
                await self._persist(lambda: self.hub.store.sessions.mark_time_disordered(self.session_id))
                return
            last = time

    def _advance(self, durable: Sequence[tuple[int, EventIn] | Event], *, needed: bool) -> list[Event]:
        """Move the head over these events and show them to all who watch. Returns them, if anybody needed them."""
        if not durable:
            return []
        last = durable[-1]
        seq, last_id = (last.seq, last.event_id) if isinstance(last, Event) else (last[0], last[1].event_id)
        moments = [datetime.fromisoformat(e.timestamp) if isinstance(e, Event) else _time(e[1]) for e in durable]
        self._times.extend(map(to_millis, moments))
        self.record.last_seq = seq
        self.record.last_event_at = moments[-1]
        self.last_event_id = last_id
        self.last_active = self.hub.clock()
        before = self.record.status
        self.record.status = status_after_event(before)
        events: list[Event] = []
        if self.watchers or needed:
            events = [e if isinstance(e, Event) else _event(self.session_id, *e) for e in durable]
            batch = EventBatch(events)
            for watcher in tuple(self.watchers):
                watcher.offer(batch)
        self._changed(before)
        return events

    def _changed(self, status_before: SessionStatus) -> None:
        if self.record.status != status_before:
            for watcher in tuple(self.watchers):
                watcher.session_changed()
        self.hub.session_changed(self, status_before)

    async def _load_ledger(self) -> Ledger:
        """Learn the eventIds of the log: its full pages by digest, the rest one by one."""
        ledger, times = Ledger(), array("q")
        head = self.record.last_seq
        if head:
            log = self.hub.store.events
            for ids, _ in await self._persist(lambda: log.load_digests(self.session_id, head)):
                ledger.add_digests(ids)
            while ledger.head < head:
                first, last = ledger.head + 1, min(ledger.head + READ_WINDOW, head)
                for seq, event_id, timestamp in await self._persist(
                    lambda first=first, last=last: log.read_ids(self.session_id, first, last)  # type: ignore[misc]
                ):
                    ledger.learn(seq, event_id)
                    times.append(to_millis(timestamp))
                if ledger.head < last:
                    raise RuntimeError(f"the log has a hole at seq={ledger.head + 1}, head={head}")
        self._ledger, self._times = ledger, times
        self._fold(ledger)
        return ledger

    def _fold(self, ledger: Ledger) -> None:
        """Sum up full pages of the log, to be kept for the next opening."""
        page = ledger.folded_pages
        for ids in ledger.fold():
            self.unsaved_digests.append((page, ids, pack_times(self._times[:DIGEST_PAGE])))
            del self._times[:DIGEST_PAGE]
            page += 1
            self.hub.mark_dirty(self)

    # --- claiming ----------------------------------------------------------------------------------------------------

    async def _claim(self, claim: Claim) -> None:
        """Give the session to a new publisher; the one before it is fenced from the moment the epoch is raised."""
        if claim.done.done():
            return
        if self.takes_events:
            await self._raise_epoch(claim)
            older, self.publisher = self.publisher, claim.publisher
            claim.publisher.epoch = self.record.epoch
            if older is not None:
                older.superseded()
        if self.last_event_id is None and self.record.last_seq:
            last = self.record.last_seq
            found = await self._persist(lambda: self.hub.store.events.read(self.session_id, last, last))
            self.last_event_id = found[0].event_id
        self.last_active = self.hub.clock()
        if claim.done.done():
            self.release(claim.publisher)
        else:
            claim.done.set_result(self._opened())

    async def _raise_epoch(self, claim: Claim) -> None:
        """Raises StorageUnavailable once nobody waits for the claim any more."""
        store = self.hub.store
        fresh = self.record.epoch == 0 and self.record.last_seq == 0
        while not await self._persist(
            lambda: store.sessions.claim(self.session_id, self.record.epoch), wanted=claim.done
        ):
            record = await self._persist(lambda: store.sessions.load(self.session_id), wanted=claim.done)
            if record is not None:
                self.record.epoch = record.epoch
                self._adopt_end(record)
            fresh = False
        self.record.epoch += 1
        if not fresh:  # another gateway may have written before this epoch began
            self._catch_up(await self._persist(lambda: store.events.head_after(self.session_id, self.record.last_seq)))

    def _catch_up(self, found: list[Event]) -> None:
        if found:
            if self._ledger is not None:
                for event in found:
                    self._ledger.learn(event.seq, event.event_id)
            self._advance(found, needed=False)

    def _opened(self) -> Opened:
        limits = self.hub.limits
        return Opened(
            session=self.session(),
            epoch=self.record.epoch,
            last_seq=self.record.last_seq,
            last_event_id=self.last_event_id,
            limits=OpenedLimits(limits.in_flight, limits.event_bytes, limits.frame_bytes),
            server_time=format_time(utc_now()),
        )

    def _fence(self, error: Superseded) -> None:
        publisher, self.publisher = self.publisher, None
        if publisher is not None:
            publisher.superseded()
        _log.info("session %r: %s", self.session_id, error)

    # --- ending ------------------------------------------------------------------------------------------------------

    async def _complete(self, item: End) -> None:
        if self._is_fenced(item.publisher):
            return
        ended_now = False if self.ended else await self._end(item.status, item.reason)
        if item.publisher is not None:
            item.publisher.completed(self.session())
        if item.done is not None and not item.done.done():
            item.done.set_result((self.session(), ended_now))

    async def _end(self, status: FinalStatus, reason: str | None, **unchanged: object) -> bool:
        """End it in the store, once. Returns whether this end is the one that stands."""
        ended_at = utc_now()
        store = self.hub.store.sessions
        if await self._persist(lambda: store.end(self.record, status, ended_at, reason, **unchanged)):
            self._set_end(status, ended_at, reason)
            return True
        record = await self._persist(lambda: store.load(self.session_id))
        if record is not None:
            self._adopt_end(record)
        return record is not None and record.ended_at == ended_at

    def _adopt_end(self, record: SessionRecord) -> None:
        """Take over an end that stands in the store."""
        if record.ended_at is not None and not self.ended:
            self._set_end("completed" if record.status == "completed" else "failed", record.ended_at, record.end_reason)

    def _set_end(self, status: FinalStatus, ended_at: datetime, reason: str | None) -> None:
        before = self.record.status
        self.record.status, self.record.ended_at, self.record.end_reason = status, ended_at, reason
        self._start_grace()
        self._changed(before)

    def _start_grace(self) -> None:
        """An ended session takes events for a while yet; the time that is left is measured on the loop's clock."""
        grace = self.hub.config.end_grace
        assert self.record.ended_at is not None
        passed = (utc_now() - self.record.ended_at) / timedelta(seconds=1)
        left = min(grace, max(0.0, grace - passed))
        self._takes_events_until = self.hub.clock() + left
        self._grace = self.hub.loop.call_later(left, self._grace_over)

    def _grace_over(self) -> None:
        self._grace = None
        if self.publisher is not None:
            self.publisher.close(CloseCode.SESSION_ENDED, "the session has ended")

    async def _abandon(self) -> None:
        """End the session as failed, unless somebody turns out to be there: here, or on another gateway."""
        if self.ended or self.publisher is not None or not self.quiet_for(self.hub.config.abandon_after):
            return
        store = self.hub.store
        record = await store.sessions.load(self.session_id)
        self._catch_up(await store.events.head_after(self.session_id, self.record.last_seq))
        if record is None or (record.epoch, record.heartbeat) != (self.record.epoch, self.record.heartbeat):
            if record is not None:
                self.record.epoch, self.record.heartbeat = record.epoch, record.heartbeat
                self._adopt_end(record)
            self.last_active = self.hub.clock()
        elif self.quiet_for(self.hub.config.abandon_after):
            await self._end("failed", "abandoned", epoch=record.epoch, heartbeat=record.heartbeat)

    def quiet_for(self, seconds: float) -> bool:
        """Whether there has been no publisher and no event for so long."""
        return self.publisher is None and self.hub.clock() - self.last_active >= seconds


def _time(event: EventIn) -> datetime:
    assert event.timestamp is not None, "given when it was admitted"
    return event.timestamp


def _event(session_id: str, seq: int, event: EventIn) -> Event:
    return Event(event.event_id, session_id, event.type, event.payload, format_time(_time(event)), seq)


def _fail(items: Sequence[Item], error: TurnwireError) -> None:
    for item in items:
        done = getattr(item, "done", None)
        if done is not None and not done.done():
            done.set_exception(error)

"""One running session: everything that changes it goes through its inbox and is done by its one task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from gateway.append_round import AppendRound
from gateway.deadline import persist
from gateway.event_batch import EventBatch
from gateway.inbox import Abandon, Append, Claim, End, Inbox, Item, SignalItem
from gateway.log_writer import Durable, LogWriter, SupersededWith, durable_of
from protocol.errors import CloseCode, ErrorCode, SessionEnded, StorageUnavailable, TurnwireError
from protocol.messages import Event, FinalStatus, JsonObject, Opened, OpenedLimits, Session, SessionStatus
from protocol.rules import has_ended, status_after_event
from protocol.times import format_time
from store.on_demand import OnDemandTask
from store.sessions import SessionRecord

if TYPE_CHECKING:
    from gateway.hub import Hub
    from gateway.publisher import PublisherConnection

_log = logging.getLogger("turnwire.session")


class Watcher(Protocol):
    """Someone who follows the session."""

    def offer(self, batch: EventBatch) -> None: ...
    def signal(self, key: str, payload: JsonObject) -> None: ...
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
        self.log = LogWriter(hub.store, record)
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
        return not (self.publisher or self.watchers or self._inbox or self._task.running or self.log.full_pages)

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

    def forget_timers(self) -> None:
        """Nothing more is to happen by itself."""
        if self._grace is not None:
            self._grace.cancel()

    async def stop(self) -> None:
        """End the task; what waits gets no answer but an error."""
        self.forget_timers()
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
        self.log.forget()
        _fail(items, TurnwireError(ErrorCode.INTERNAL, "the gateway failed; try again"))
        if self.publisher is not None:
            self.publisher.close(CloseCode.INTERNAL, "the gateway failed; reconnect")

    # --- appending ---------------------------------------------------------------------------------------------------

    async def _append(self, appends: list[Append]) -> None:
        if not appends:
            return
        ledger = await self.log.ledger()
        round_ = AppendRound(ledger, await self.log.stored(AppendRound.candidates(ledger, appends)))
        ended = None if self.takes_events else SessionEnded(self.session_id, self.session().ended_at)
        for append in appends:
            round_.admit(append, ended)
        try:
            durable = await self.log.commit(ledger, round_, sum(append.weight for append in appends))
        except SupersededWith as error:
            self._advance(error.durable, needed=False)
            self.log.advanced(error.durable)
            self._fence(error)
            return await self._append([append for append in appends if not self._is_fenced(append.publisher)])
        events = self._advance(durable, needed=any(append.done is not None for append in appends))
        round_.answer(events, durable.foreign)
        self.hub.count_round(*round_.counts())
        if self.log.advanced(durable):
            self.hub.lazy_fields.mark(self)
        return None

    def _advance(self, durable: Durable, *, needed: bool) -> list[Event]:
        """Move the head over these events and show them to all who watch. Returns them, if anybody needed them."""
        if durable.record is not None:
            self._adopt_end(durable.record)
        if not durable.events:
            return []
        self.record.last_seq, self.last_event_id, self.record.last_event_at = durable.last()
        self.last_active = self.hub.clock()
        before = self.record.status
        self.record.status = status_after_event(before)
        events: list[Event] = []
        if self.watchers or needed:
            events = durable.shaped(self.session_id)
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
            found = await persist(lambda: self.hub.store.events.read(self.session_id, last, last))
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
        while not await persist(lambda: store.sessions.claim(self.session_id, self.record.epoch), wanted=claim.done):
            record = await persist(lambda: store.sessions.load(self.session_id), wanted=claim.done)
            if record is not None:
                self.record.epoch = record.epoch
                self._adopt_end(record)
            fresh = False
        self.record.epoch += 1
        if not fresh:  # another gateway may have written before this epoch began
            self._catch_up(await persist(lambda: store.events.head_after(self.session_id, self.record.last_seq)))

    def _catch_up(self, found: list[Event]) -> None:
        if found:
            durable = durable_of(found)
            self._advance(durable, needed=False)
            self.log.advanced(durable)

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

    def _fence(self, error: SupersededWith) -> None:
        record = error.durable.record
        self.record.epoch = self.record.epoch if record is None else record.epoch
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
        if await persist(lambda: store.end(self.record, status, ended_at, reason, **unchanged)):
            self._set_end(status, ended_at, reason)
            return True
        record = await persist(lambda: store.load(self.session_id))
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


def _fail(items: Sequence[Item], error: TurnwireError) -> None:
    for item in items:
        done = getattr(item, "done", None)
        if done is not None and not done.done():
            done.set_exception(error)

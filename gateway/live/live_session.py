"""One running session: everything that changes it goes through its inbox and is done by its one task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from turnwire.gateway.live.append_round import AppendRound
from turnwire.gateway.live.claiming import claim
from turnwire.gateway.live.grace import SessionEnd
from turnwire.gateway.live.inbox import Abandon, Append, Claim, End, Inbox, Item, Renew, SignalItem
from turnwire.gateway.live.log_writer import Durable, LogWriter, SupersededWith, rise, times_of
from turnwire.gateway.watching.event_batch import EventBatch
from turnwire.protocol.conversation import Conversation
from turnwire.protocol.errors import CloseCode, ErrorCode, SessionEnded, StorageUnavailable, TurnwireError
from turnwire.protocol.messages import Event, JsonObject, Session, SessionStatus
from turnwire.protocol.rules import has_ended, status_after_event
from turnwire.store.on_demand import OnDemandTask
from turnwire.store.sessions import SessionRecord
from turnwire.store.waiting import persist

if TYPE_CHECKING:
    from turnwire.gateway.sessions.live_sessions import Hub
    from turnwire.gateway.sockets.publisher import PublisherConnection

_log = logging.getLogger("turnwire.session")


class Watcher(Protocol):
    """Someone who follows the session."""

    def offer(self, batch: EventBatch) -> None: ...
    def signal(self, key: str, payload: JsonObject) -> None: ...
    def session_changed(self) -> None: ...


class LiveSession:
    """A session in memory. Owner of all that follows: its task, which is the only one to change it.

    `record.last_seq` is the durable head; it and the offers to watchers move in one step without an await, so a
    watcher that has read up to `record.last_seq` can join the live stream there.
    """

    def __init__(self, hub: Hub, record: SessionRecord) -> None:
        self.hub = hub
        self.record = record
        self.publisher: PublisherConnection | None = None
        self.watchers: dict[Watcher, None] = {}
        """In the order they came, which is roughly that of their sockets in memory: a set costs a tenth more."""
        self.last_event_id: str | None = None
        self.last_used = hub.clock()
        self.last_active = hub.clock()
        """When a publisher or an event was last here, on the loop's clock."""
        self.busy_since: float | None = None
        """Since when the task has been at its current item."""
        self.log = LogWriter(hub.store, record)
        self.conversation: Conversation | None = None
        """What the feed's summaries have read of it."""
        self.end = SessionEnd(self)
        self._inbox = Inbox()
        self._task = OnDemandTask(self._work)

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
    def waiting_events(self) -> int:
        return self._inbox.waiting

    @property
    def deserted(self) -> bool:
        """Whether it had a publisher and has none now, and has not ended: some time this counts as abandoned."""
        return self.publisher is None and self.record.epoch > 0 and not self.ended

    @property
    def idle(self) -> bool:
        """Whether nothing and nobody needs it in memory."""
        at_work = self._inbox or self._task.running or self.log.full_pages
        return not (self.publisher or self.watchers or self.deserted or at_work)

    def is_behind(self, stored: SessionRecord) -> bool:
        """Whether somebody else has changed it since we last heard of it."""
        ended = has_ended(stored.status) and not self.ended
        return ended or stored.last_seq > self.record.last_seq or stored.epoch > self.record.epoch

    def quiet_for(self, seconds: float) -> bool:
        """Whether there has been no publisher and no event for so long."""
        return self.publisher is None and self.hub.clock() - self.last_active >= seconds

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
        self.end.forget_timer()
        await self._task.stop()
        for item in self._inbox.clear():
            _fail([item], StorageUnavailable("the gateway is going away; try again"))

    # --- the task ----------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while self._inbox:
            taken = self._inbox.take()
            items = taken if isinstance(taken, list) else [taken]
            self.busy_since = self.hub.clock()
            try:
                if isinstance(taken, list):
                    await self._append([item for item in taken if not self.is_fenced(item.publisher)])
                else:
                    await self._process(taken)
            except TurnwireError as error:
                _fail(items, error)
            except asyncio.CancelledError:
                _fail(items, StorageUnavailable())
                raise
            except Exception:
                _log.exception("session %r: unexpected error", self.session_id)
                self._give_up(items)
            finally:
                self.busy_since = None

    async def _process(self, taken: Item) -> None:
        match taken:
            case SignalItem():
                if not self.is_fenced(taken.publisher):
                    for watcher in tuple(self.watchers):
                        watcher.signal(taken.key, taken.payload)
            case End():
                await self.end.complete(taken)
            case Claim():
                await claim(self, taken)
            case Abandon():
                await self.end.abandon()
            case Renew():
                await self.renew(taken.stored)
                if taken.done is not None and not taken.done.done():
                    taken.done.set_result(None)

    def is_fenced(self, publisher: PublisherConnection | None) -> bool:
        """Whether nothing of this sender is to be taken any more. REST, which is None, never is."""
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
        round_ = AppendRound(ledger)
        if not (self.end.takes_events and round_.admit_plain(appends)):
            round_.stored = await self.log.stored(round_.candidates(appends))
            ended = None if self.end.takes_events else SessionEnded(self.session_id, self.session().ended_at)
            for append in appends:
                round_.admit(append, ended)
        try:
            durable = await self.log.commit(ledger, round_, sum(append.weight for append in appends))
        except SupersededWith as error:
            self._advance(error.durable, needed=False)
            self.fence(error.epoch)
            await self._append([append for append in appends if not self.is_fenced(append.publisher)])
            return
        events = self._advance(durable, needed=any(append.done is not None for append in appends))
        round_.answer(events, durable.foreign)
        self.hub.count_round(round_.duplicates, round_.refused)
        if appends[0].publisher is not None:
            self.hub.metrics.acked(self.hub.clock() - appends[0].taken_at)
        self.log.fold()
        if self.log.full_pages:
            self.hub.lazy_fields.mark(self)

    def _advance(self, durable: Durable, *, needed: bool) -> list[Event]:
        """Move the head over these events and show them to all who watch. Returns them, if anybody needed them."""
        events: list[Event] = []
        if durable.events:
            self.record.last_seq, self.last_event_id, self.record.last_event_at = durable.last()
            self.log.advanced(durable)
            self.hub.feed.summaries.heard(self, durable.events)
            self.last_active = self.hub.clock()
            before = self.record.status
            self.record.status = status_after_event(before)
            if self.watchers or needed:
                events = durable.shaped(self.session_id)
                batch = EventBatch(events)
                for watcher in tuple(self.watchers):
                    watcher.offer(batch)
            self.changed(before)
        if durable.record is not None:
            self.end.adopt(durable.record)
        return events

    def changed(self, status_before: SessionStatus) -> None:
        """Tell of its new fields, and status."""
        if self.record.status != status_before:
            for watcher in tuple(self.watchers):
                watcher.session_changed()
        self.hub.session_changed(self, status_before)

    # --- what others have done to it ---------------------------------------------------------------------------------

    async def renew(self, stored: SessionRecord) -> None:
        """Take over what the store knows more: a newer publisher elsewhere, events, an end."""
        if stored.epoch > self.record.epoch:
            self.fence(stored.epoch)
        self.record.heartbeat = max(self.record.heartbeat, stored.heartbeat)
        self.record.time_ordered &= stored.time_ordered
        await self.read_on()
        self.end.adopt(stored)

    async def read_on(self) -> None:
        """Take over the events that others have stored behind our head, and the epoch they may be of."""
        found = await persist(lambda: self.hub.store.events.head_after(self.session_id, self.record.last_seq))
        if found:
            stored = await persist(lambda: self.hub.store.sessions.load(self.session_id))
            if stored is not None and stored.epoch > self.record.epoch:
                self.fence(stored.epoch)
            self.record.time_ordered &= rise(self.record.last_event_at, times_of(found))
            self._advance(Durable(list(found)), needed=False)

    def fence(self, epoch: int) -> None:
        """A newer publisher has claimed the session on another gateway; ours is at its end."""
        self.record.epoch = epoch
        publisher, self.publisher = self.publisher, None
        if publisher is not None:
            publisher.superseded()
            self.hub.metrics.takeover()
        _log.info("session %r: superseded by epoch %d on another gateway", self.session_id, epoch)


def _fail(items: Sequence[Item], error: TurnwireError) -> None:
    for item in items:
        done = getattr(item, "done", None)
        if done is not None and not done.done():
            done.set_exception(error)

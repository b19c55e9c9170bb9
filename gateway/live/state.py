"""The state of a session in memory: its record, its publisher, those who watch it, and what is known of its log."""

from __future__ import annotations

import asyncio
from datetime import datetime

from turnwire.gateway.live.log.durable import Durable, rise, time_of, times_of
from turnwire.gateway.live.log.known_log import KnownLog
from turnwire.gateway.live.open_commands import OpenCommands
from turnwire.gateway.live.parties import Audience, Sender
from turnwire.protocol.conversation import Conversation
from turnwire.protocol.messages import Event, FinalStatus, JsonObject, Session, SessionFigures, SessionStatus
from turnwire.protocol.rules import has_ended, status_after_event
from turnwire.protocol.talk.interims import Interims
from turnwire.store.archive.mark import ArchiveMark
from turnwire.store.event_documents import Mark
from turnwire.store.sessions import SessionRecord

WAY_SECONDS = 2.0
"""How long the log's next position is left, at most, to a gateway that has lost the races for it."""


class SessionState:
    """The state of one session in memory. Its task alone changes `record`, through the methods here.

    `record.last_seq` is the durable head. It moves, and the audience is told, in one step without an await, so a
    watcher that has read up to `record.last_seq` can join the live stream there.
    """

    __slots__ = (
        "audience",
        "busy_since",
        "commands",
        "commit_seconds",
        "conversation",
        "erased",
        "grace_timer",
        "interims",
        "last_active",
        "last_event_id",
        "last_event_seen",
        "last_used",
        "log",
        "publisher",
        "record",
        "stored_seq",
        "takes_events",
        "unwritten",
        "verified_at",
        "way_until",
    )

    def __init__(self, record: SessionRecord, now: float) -> None:
        """`now` is the time on the loop's clock."""
        self.record = record
        self.publisher: Sender | None = None
        self.audience: Audience | None = None
        """None while nobody watches: most sessions are never watched."""
        self.log = KnownLog()
        self.last_event_id: str | None = None
        self.last_used = now
        self.last_active = now
        """When a publisher or an event was last seen, here or at another gateway, on the loop's clock."""
        self.last_event_seen = now
        """When the head last moved, on the loop's clock."""
        self.verified_at = now
        """When the state here was last known to match the store, on the loop's clock."""
        self.commit_seconds = 0.0
        """Time spent on commits since then."""
        self.way_until = 0.0
        """Until when the log's next position is left to another gateway, on the loop's clock; 0 if it is not."""
        self.busy_since: float | None = None
        """When the session's task began its current item, on the loop's clock; None while it is idle."""
        self.commands: OpenCommands | None = None
        """None unless a bot here accepts commands, or commands that were requested here are open."""
        self.conversation: Conversation | None = None
        """What has been read of the conversation, for summaries and figures."""
        self.takes_events = True
        """Whether new events may be appended: the session has not ended, or its grace time is not over."""
        self.interims: Interims | None = None
        """What is being said right now, according to the latest signals."""
        self.grace_timer: asyncio.TimerHandle | None = None
        self.erased = False
        """Whether the session has been erased: nothing is done to it, and nothing of it is shown."""
        self.unwritten = False
        """Whether the record has changes that the store lacks."""
        self.stored_seq = record.last_seq
        """The lastSeq that was last written to the session's document."""

    # --- asked by anybody --------------------------------------------------------------------------------------------

    @property
    def session_id(self) -> str:
        return self.record.session_id

    def session(self) -> Session:
        """Return the session as it is now, with its lazily written fields and its figures."""
        session = self.record.session()
        if session.figures is None and not self.ended:
            session.figures = self.figures()
        return session

    @property
    def head(self) -> Mark | None:
        """The last event of the log; None while the log is empty."""
        record = self.record
        if not record.last_seq or record.last_event_at is None:
            return None
        return Mark(record.last_seq, record.last_event_at, self.last_event_id)

    def figures(self) -> SessionFigures | None:
        """Return the figures if the conversation has been read up to the head; else None."""
        conversation = self.conversation
        return None if conversation is None or conversation.last_seq < self.record.last_seq else conversation.brief()

    @property
    def ended(self) -> bool:
        return has_ended(self.record.status)

    @property
    def deserted(self) -> bool:
        """Whether the session once had a publisher, has none here now and has not ended."""
        return self.publisher is None and self.record.epoch > 0 and not self.ended

    def is_behind(self, stored: SessionRecord) -> bool:
        """Return whether another gateway has stored changes that are not known here."""
        record = self.record
        if stored.life != record.life:
            return True
        ended = has_ended(stored.status) and not self.ended
        disordered = record.time_ordered and not stored.time_ordered
        archived = stored.archive is not None and record.archive is None
        counted = stored.contested > record.contested or stored.amended > record.amended
        changed = archived or counted or disordered or self._differs(stored)
        return ended or changed or stored.last_seq > record.last_seq or stored.epoch > record.epoch

    def _differs(self, stored: SessionRecord) -> bool:
        """Return whether the bot at another gateway accepts other commands than are known here."""
        elsewhere = self.publisher is None and stored.epoch >= self.record.epoch
        return elsewhere and stored.commands != self.record.commands

    def is_fenced(self, publisher: Sender | None) -> bool:
        """Return whether nothing from this sender is accepted any more. None, a REST client, is never fenced."""
        return publisher is not None and (publisher.finished or publisher.epoch < self.record.epoch)

    def was_quiet(self, since: float) -> None:
        """Note that no gateway has seen a publisher or an event since this time, on the loop's clock."""
        self.last_active = self.last_event_seen = since

    # --- changed by the session's task alone -------------------------------------------------------------------------

    def advance(self, durable: Durable, now: float) -> SessionStatus:
        """Move the head over these events, at least one. Return the previous status."""
        seq, event = durable.last
        record = self.record
        before = record.status
        record.last_seq, record.last_event_at, self.last_event_id = seq, time_of(event), event.event_id
        record.status = status_after_event(before)
        self.log.advanced(durable)
        self.last_active = self.last_event_seen = now
        if self.interims is not None:
            self.interims.stored(event.type for _, event in durable.events)
        return before

    def roll_back(self, last: Event | None, stored: SessionRecord, as_of: int) -> Sender | None:
        """Move the head back to this event, where the log turned out to end. The session becomes as it is `stored`, and
        `as_of` is the count of troubles. Return the publisher that was here, if its claim is gone as well."""
        stored.last_seq = 0 if last is None else last.seq
        stored.last_event_at = None if last is None else datetime.fromisoformat(last.timestamp)
        claimed, self.record, self.stored_seq = self.record.epoch, stored, stored.last_seq
        self.last_event_id = None if last is None else last.event_id
        self.log.forget()
        self.log.full_pages.clear()
        self.log.as_of = as_of
        self.conversation = None
        if not self.ended:
            self._go_on()
        if claimed == stored.epoch:
            return None
        publisher, self.publisher = self.publisher, None
        return publisher

    def _go_on(self) -> None:
        """Reopen the session, because its known end is gone."""
        self.takes_events = True
        if self.grace_timer is not None:
            self.grace_timer.cancel()
            self.grace_timer = None

    def signalled(self, key: str, payload: JsonObject, epoch: int) -> None:
        """Keep a signal that a watcher who joins later must be shown, from the publisher of this epoch."""
        self.hush(epoch)
        if self.interims is None:
            self.interims = Interims(epoch)
        if self.interims.epoch == epoch:
            self.interims.keep(key, payload)

    def hush(self, before: int | None = None) -> None:
        """Forget what is being said by publishers of epochs before this one, or by any."""
        if self.interims is not None and (before is None or self.interims.epoch < before):
            self.interims = None

    def claim(self, epoch: int, holder: str | None, traceparent: str | None = None) -> None:
        """Note the epoch that the store has given to a publisher of this holder here, and the trace it has named."""
        self.record.epoch, self.record.commands, self.record.holder = epoch, None, holder
        self.record.traceparent = traceparent or self.record.traceparent
        self.hush(epoch)

    def fence(self, epoch: int) -> Sender | None:
        """Note the newer epoch of a publisher at another gateway. Return the publisher that was here, if any."""
        self.record.epoch, self.record.commands = epoch, None
        self.hush(epoch)
        publisher, self.publisher = self.publisher, None
        return publisher

    def erase(self) -> Sender | None:
        """Mark the session as erased. Return the publisher that was here."""
        self.erased, self.takes_events = True, False
        self.log.forget()
        self.log.full_pages.clear()
        self.conversation = self.interims = self.commands = None
        publisher, self.publisher = self.publisher, None
        return publisher

    def end(self, status: FinalStatus, ended_at: datetime, reason: str | None) -> SessionStatus:
        """Note the end that is in the store. Return the previous status."""
        record = self.record
        before = record.status
        record.status, record.ended_at, record.end_reason = status, ended_at, reason
        self.interims = None
        return before

    def amend(self, metadata: JsonObject, language: str, amended: int) -> None:
        """Note the metadata and language that are in the store, and their version `amended`."""
        self.record.metadata, self.record.language, self.record.amended = metadata, language, amended

    def keep_figures(self, figures: SessionFigures | None) -> None:
        """Set the figures that are kept of an ended session."""
        self.record.figures = figures

    def archived(self, mark: ArchiveMark) -> None:
        """Note that the store has the session marked as archived."""
        self.record.archiving, self.record.archive = mark.attempt, mark

    def verified(self, began: float) -> None:
        """Note that the state here matches what the store had at this time, on the loop's clock."""
        self.verified_at, self.commit_seconds = began, 0.0

    def contest(self) -> None:
        """Note that the store has a mark of this gateway's lost races."""
        self.record.contested += 1

    def let_in(self) -> None:
        """Note that another gateway has stored events, so that the next position is no longer left to it."""
        self.way_until = 0.0

    def beat(self) -> None:
        """Raise the heartbeat, which shows other gateways that the publisher is here."""
        self.record.heartbeat += 1

    def note_order(self, events: list[Event]) -> None:
        """Clear `time_ordered` if the timestamps of these events, the next ones of the log, do not rise with seq."""
        self.record.time_ordered &= rise(self.record.last_event_at, times_of(events))

    def disorder(self, as_of: int) -> None:
        """Record that timestamps no longer rise with seq. `as_of`: the count of troubles when this was stored."""
        self.record.time_ordered = False
        self.log.disordered_as_of = as_of

    def learn(self, stored: SessionRecord, now: float) -> None:
        """Adopt the fields of a stored session that change in one direction only.

        A newer epoch or heartbeat also shows that a publisher is at another gateway.
        """
        if stored.epoch > self.record.epoch or stored.heartbeat > self.record.heartbeat:
            self.last_active = now
        if stored.contested > self.record.contested:
            self.record.contested, self.way_until = stored.contested, now + WAY_SECONDS
        self.record.heartbeat = max(self.record.heartbeat, stored.heartbeat)
        if stored.epoch >= self.record.epoch:
            self.record.holder, self.record.traceparent = stored.holder, stored.traceparent
        if stored.figures is not None:
            self.record.figures = stored.figures
        if stored.amended > self.record.amended:
            self.amend(stored.metadata, stored.language, stored.amended)
        self.record.time_ordered &= stored.time_ordered
        self.record.archiving, self.record.archive = stored.archiving, stored.archive or self.record.archive

    def learn_commands(self, stored: SessionRecord) -> bool:
        """Adopt the commands that the bot at another gateway accepts. Return whether they have changed."""
        differs = self._differs(stored)
        if differs:
            self.record.commands = stored.commands
        return differs

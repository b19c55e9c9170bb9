"""A session in memory, as data: its record, who publishes it, who watches it, what is known of its log."""

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
from turnwire.store.event_documents import Mark
from turnwire.store.sessions import SessionRecord


class SessionState:
    """One session in memory. Its task is the only one to change `record`, and does so by the methods here.

    `record.last_seq` is the durable head; it and the news to the audience move in one step without an await, so a
    watcher that has read up to `record.last_seq` can join the live stream there.
    """

    __slots__ = (
        "audience",
        "busy_since",
        "commands",
        "conversation",
        "grace_timer",
        "interims",
        "last_active",
        "last_event_id",
        "last_event_seen",
        "last_used",
        "log",
        "publisher",
        "record",
        "takes_events",
        "unwritten",
        "verified_at",
    )

    def __init__(self, record: SessionRecord, now: float) -> None:
        """`now` is the loop's clock."""
        self.record = record
        self.publisher: Sender | None = None
        self.audience: Audience | None = None
        """None until somebody watches: most sessions are never watched."""
        self.log = KnownLog()
        self.last_event_id: str | None = None
        self.last_used = now
        self.last_active = now
        """When a publisher or an event, or a sign of one at another gateway, was last seen, on the loop's clock."""
        self.last_event_seen = now
        """When the head last moved, on the loop's clock."""
        self.verified_at = now
        """When the stored session was last asked for all of it that is known here, on the loop's clock."""
        self.busy_since: float | None = None
        """Since when the session's task has been at its current item."""
        self.commands: OpenCommands | None = None
        """None unless a bot here takes commands, or some that were asked for here are open."""
        self.conversation: Conversation | None = None
        """What the summaries and figures have read of it."""
        self.takes_events = True
        """Whether new events may be appended: the session has not ended, or only just."""
        self.interims: Interims | None = None
        """What is being said now, by the last signals."""
        self.grace_timer: asyncio.TimerHandle | None = None
        self.unwritten = False
        """Whether the record is newer than the stored session."""

    # --- asked by anybody --------------------------------------------------------------------------------------------

    @property
    def session_id(self) -> str:
        return self.record.session_id

    def session(self) -> Session:
        """The session as it is now, lazy fields and figures included."""
        session = self.record.session()
        if session.figures is None and not self.ended:
            session.figures = self.figures()
        return session

    @property
    def head(self) -> Mark | None:
        """The last event of the log; None while there is none."""
        record = self.record
        if not record.last_seq or record.last_event_at is None:
            return None
        return Mark(record.last_seq, record.last_event_at, self.last_event_id)

    def figures(self) -> SessionFigures | None:
        """Those of a conversation that is known up to the head."""
        conversation = self.conversation
        return None if conversation is None or conversation.last_seq < self.record.last_seq else conversation.brief()

    @property
    def ended(self) -> bool:
        return has_ended(self.record.status)

    @property
    def deserted(self) -> bool:
        """Whether the session had a publisher, has none now and has not ended: it may be abandoned."""
        return self.publisher is None and self.record.epoch > 0 and not self.ended

    def is_behind(self, stored: SessionRecord) -> bool:
        """Whether somebody else has changed the session since this gateway last heard of it."""
        record = self.record
        ended = has_ended(stored.status) and not self.ended
        disordered = record.time_ordered and not stored.time_ordered
        changed = disordered or stored.amended > record.amended or self._differs(stored)
        return ended or changed or stored.last_seq > record.last_seq or stored.epoch > record.epoch

    def _differs(self, stored: SessionRecord) -> bool:
        """Whether the bot at another gateway takes other commands than known here."""
        elsewhere = self.publisher is None and stored.epoch >= self.record.epoch
        return elsewhere and stored.commands != self.record.commands

    def is_fenced(self, publisher: Sender | None) -> bool:
        """Whether nothing of this sender is taken any more. REST, which is None, never is."""
        return publisher is not None and (publisher.finished or publisher.epoch < self.record.epoch)

    def was_quiet(self, since: float) -> None:
        """Neither a publisher nor an event has been seen anywhere since then, on the loop's clock."""
        self.last_active = self.last_event_seen = since

    # --- changed by the session's task alone -------------------------------------------------------------------------

    def advance(self, durable: Durable, now: float) -> SessionStatus:
        """Move the head over these events, of which there is one at least. Returns the status before."""
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
        """The log turned out to end with this event, which is before the head, and the session is as it is `stored`;
        `as_of` so many troubles. Returns the publisher that was here, if its claim is gone as well."""
        stored.last_seq = 0 if last is None else last.seq
        stored.last_event_at = None if last is None else datetime.fromisoformat(last.timestamp)
        claimed, self.record = self.record.epoch, stored
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
        """An end that was known is gone."""
        self.takes_events = True
        if self.grace_timer is not None:
            self.grace_timer.cancel()
            self.grace_timer = None

    def signalled(self, key: str, payload: JsonObject) -> None:
        """Keep what somebody who joins now must be shown."""
        if self.interims is None:
            self.interims = Interims()
        self.interims.keep(key, payload)

    def claim(self, epoch: int) -> None:
        """The store has given this epoch to a publisher."""
        self.record.epoch, self.record.commands = epoch, None

    def fence(self, epoch: int) -> Sender | None:
        """A publisher of this newer epoch is elsewhere. Returns the publisher that was here."""
        self.record.epoch, self.record.commands = epoch, None
        publisher, self.publisher = self.publisher, None
        return publisher

    def end(self, status: FinalStatus, ended_at: datetime, reason: str | None) -> SessionStatus:
        """Take over the end that stands in the store. Returns the status before."""
        record = self.record
        before = record.status
        record.status, record.ended_at, record.end_reason = status, ended_at, reason
        self.interims = None
        return before

    def amend(self, metadata: JsonObject, language: str, amended: int) -> None:
        """The store has these now."""
        self.record.metadata, self.record.language, self.record.amended = metadata, language, amended

    def keep_figures(self, figures: SessionFigures | None) -> None:
        """What is kept of an ended session."""
        self.record.figures = figures

    def beat(self) -> None:
        """Show other gateways that the publisher is here."""
        self.record.heartbeat += 1

    def note_order(self, events: list[Event]) -> None:
        """Note whether these events, which others have stored next, have times that rise with seq."""
        self.record.time_ordered &= rise(self.record.last_event_at, times_of(events))

    def disorder(self, as_of: int) -> None:
        """Timestamps do not rise with seq any more, which is noted in the store `as_of` so many troubles."""
        self.record.time_ordered = False
        self.log.disordered_as_of = as_of

    def learn(self, stored: SessionRecord, now: float) -> None:
        """Take over the fields of a stored session that can only go one way. A publisher elsewhere shows by them."""
        if stored.epoch > self.record.epoch or stored.heartbeat > self.record.heartbeat:
            self.last_active = now
        self.record.heartbeat = max(self.record.heartbeat, stored.heartbeat)
        if stored.figures is not None:
            self.record.figures = stored.figures
        if stored.amended > self.record.amended:
            self.amend(stored.metadata, stored.language, stored.amended)
        self.record.time_ordered &= stored.time_ordered

    def learn_commands(self, stored: SessionRecord) -> bool:
        """Take over what the bot at another gateway carries out. Whether that is new."""
        differs = self._differs(stored)
        if differs:
            self.record.commands = stored.commands
        return differs

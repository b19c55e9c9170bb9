"""One round of appends to one session: the verdict on each event before storing, and the answers after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count, repeat

from msgspec import Struct

from turnwire.gateway.live.items import AppendItem, Stored, reject, resolve
from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.parties import Sender
from turnwire.protocol.errors import ErrorCode, SessionFull, SessionHasEnded, TurnwireError
from turnwire.protocol.messages import AckItem, BadEvent, Event, EventIn, NackItem
from turnwire.protocol.rules import Admitted, Duplicate, Ledger, same_event

Verdict = Admitted | Duplicate | BadEvent | None
"""The verdict on an event; None if the event is new."""


class _Plan(Struct):
    """An append, and the verdict on each of its events."""

    append: AppendItem
    verdicts: Iterable[Verdict]


class AppendRound:
    """A round of appends: decides which events are new and, once these are stored, answers the senders. Does no I/O."""

    __slots__ = ("_first_seq", "_ids", "_ledger", "_most", "_plans", "_session_id", "_stored", "duplicates", "refused")

    def __init__(self, ledger: Ledger, session_id: str, most: int) -> None:
        """`most`: the number of events that the session's log may have; 0 means no limit."""
        self._session_id = session_id
        self._most = most
        self._ledger = ledger
        self._first_seq = ledger.head + 1
        self._plans: list[_Plan] = []
        self._ids: list[str] = []
        """The eventIds of a plain round: one whose events are all valid and new."""
        self._stored: Mapping[int, Event] = {}
        self.duplicates = 0
        """The number of answered events that had been stored before."""
        self.refused: list[ErrorCode] = []
        """The code of each refused event."""

    # --- before the store's answer -----------------------------------------------------------------------------------

    def admit_plain(self, appends: Sequence[AppendItem]) -> bool:
        """Admit the whole round at once, if all its events are valid and new. Else do nothing and return False."""
        events: list[EventIn] = []
        for append in appends:
            for event in append.events:
                if isinstance(event, BadEvent):
                    return False
                if event.timestamp is None:
                    event.timestamp = append.received_at
                events.append(event)
        if 0 < self._most < self._ledger.next_seq + len(events) - 1 or self._ledger.admit_new(events) is None:
            return False
        self._plans = [_Plan(append, repeat(None)) for append in appends]
        self._ids = [event.event_id for event in events]
        return True

    def candidates(self, appends: Iterable[AppendItem]) -> set[int]:
        """Return the positions whose events `admit` needs to decide about these appends."""
        return {
            seq
            for append in appends
            for event in append.events
            if isinstance(event, EventIn)
            for seq in self._ledger.candidates(event.event_id)
        }

    def admit(self, appends: Iterable[AppendItem], stored: Mapping[int, Event], ended: SessionHasEnded | None) -> None:
        """Decide event by event. `stored` holds the events at all `candidates`.

        With `ended`, the session takes no new events. A REST append with an event that is not taken for this reason, or
        because the log is full, is refused as a whole.
        """
        self._stored = stored
        for append in appends:
            if ended is not None and append.done is not None and not all(map(self._is_stored, append.events)):
                reject(append.done, ended)
                continue
            verdicts = [self._verdict(event, append, ended) for event in append.events]
            if append.done is not None and any(map(_is_full, verdicts)):
                self._take_back(append, verdicts)
                reject(append.done, SessionFull(self._session_id, self._most))
            else:
                self._plans.append(_Plan(append, verdicts))

    def _verdict(self, event: EventIn | BadEvent, append: AppendItem, ended: SessionHasEnded | None) -> Verdict:
        if isinstance(event, BadEvent):
            return event
        if ended is not None and not self._is_stored(event):
            return BadEvent(event.event_id, ended.code, ended.message)
        if event.timestamp is None:
            event.timestamp = append.received_at
        verdict = self._ledger.admit(event, self._stored)
        if isinstance(verdict, Admitted) and 0 < self._most < verdict.seq:
            self._ledger.drop_pending(event.event_id)
            full = SessionFull(self._session_id, self._most)
            return BadEvent(event.event_id, full.code, full.message)
        return verdict

    def _take_back(self, append: AppendItem, verdicts: Iterable[Verdict]) -> None:
        """Drop the events of an append that were admitted before one of them proved to be too many."""
        for event, verdict in zip(append.events, verdicts, strict=True):
            if isinstance(event, EventIn) and isinstance(verdict, Admitted):
                self._ledger.drop_pending(event.event_id)

    def _is_stored(self, event: EventIn | BadEvent) -> bool:
        """Return whether the event is stored already. True for a bad event, which is refused for its own reason."""
        if isinstance(event, BadEvent):
            return True
        return any(self._stored[seq].event_id == event.event_id for seq in self._ledger.candidates(event.event_id))

    # --- afterwards --------------------------------------------------------------------------------------------------

    def answer(self, events: Sequence[Event], durable: Durable) -> None:
        """Answer every sender, in the order sent. `events` are the wire form of `durable.events`; they are needed only
        if an append has a `done`."""
        if self._ids and not durable.foreign and not durable.refused:
            self._answer_plain(events)
            return
        by_seq = {event.seq: event for event in events}
        replies: dict[Sender, list[AckItem | NackItem]] = {}
        for plan in self._plans:
            if plan.append.publisher is None:
                self._answer_rest(plan, by_seq, durable)
            else:
                replies.setdefault(plan.append.publisher, []).extend(
                    self._reply(event, verdict, durable)
                    for event, verdict in zip(plan.append.events, plan.verdicts, strict=False)
                )
        for publisher, its in replies.items():
            publisher.replied(
                its, sum(plan.append.weight for plan in self._plans if plan.append.publisher is publisher)
            )

    def _answer_plain(self, events: Sequence[Event]) -> None:
        """Answer a plain round: all events are stored in its order, from its first position on."""
        publisher = self._plans[0].append.publisher
        if publisher is not None and all(plan.append.publisher is publisher for plan in self._plans):
            acks = list(map(AckItem, self._ids, count(self._first_seq)))
            publisher.acked(acks, sum(plan.append.weight for plan in self._plans))
            return
        at = 0
        for plan in self._plans:
            append = plan.append
            start, at = at, at + len(append.events)
            if append.publisher is not None:
                acks = list(map(AckItem, self._ids[start:at], count(self._first_seq + start)))
                append.publisher.acked(acks, append.weight)
            else:
                resolve(append.done, [Stored(event, duplicate=False) for event in events[start:at]])

    def _reply(self, event: EventIn | BadEvent, verdict: Verdict, durable: Durable) -> AckItem | NackItem:
        if isinstance(event, BadEvent):
            return self._nack(event)
        if isinstance(verdict, BadEvent):
            return self._nack(verdict)
        if event.event_id in durable.refused:
            return self._nack(_refusal(event, durable))
        found = durable.foreign.get(event.event_id)
        same = verdict.same if isinstance(verdict, Duplicate) else True
        if not same or (found is not None and not same_event(found, event)):
            message = f"event {event.event_id!r} is stored already with another type or payload"
            return self._nack(BadEvent(event.event_id, ErrorCode.EVENT_CONFLICT, message))
        duplicate = isinstance(verdict, Duplicate) or found is not None
        self.duplicates += duplicate
        return AckItem(event.event_id, self._seq(event, verdict), duplicate)

    def _nack(self, bad: BadEvent) -> NackItem:
        self.refused.append(bad.code)
        return NackItem(bad.event_id, bad.code, bad.message, bad.code.facts.retryable)

    def _seq(self, event: EventIn, verdict: Verdict) -> int:
        """Return the event's seq. An event that was numbered in this round may have moved up since."""
        if isinstance(verdict, Duplicate) and verdict.seq < self._first_seq:
            return verdict.seq
        return self._ledger.candidates(event.event_id)[0]

    def _answer_rest(self, plan: _Plan, by_seq: Mapping[int, Event], durable: Durable) -> None:
        answers: list[Stored] = []
        for event, verdict in zip(plan.append.events, plan.verdicts, strict=False):
            bad = verdict if isinstance(verdict, BadEvent) else None
            if isinstance(event, EventIn) and event.event_id in durable.refused:
                bad = _refusal(event, durable)
            if bad is not None or isinstance(event, BadEvent):
                bad = bad or event  # type: ignore[assignment]
                assert isinstance(bad, BadEvent)
                self.refused.append(bad.code)
                reject(plan.append.done, TurnwireError(bad.code, bad.message, [bad.message]))
                return
            duplicate = isinstance(verdict, Duplicate) or event.event_id in durable.foreign
            self.duplicates += duplicate
            seq = self._seq(event, verdict)
            answers.append(Stored(by_seq.get(seq) or self._stored[seq], duplicate))
        resolve(plan.append.done, answers)


def _refusal(event: EventIn, durable: Durable) -> BadEvent:
    """Return the refusal of an event that the store will never accept."""
    reason = durable.refused[event.event_id]
    return BadEvent(event.event_id, ErrorCode.INVALID_EVENT, f"the event cannot be stored: {reason}")


def _is_full(verdict: Verdict) -> bool:
    return isinstance(verdict, BadEvent) and verdict.code is ErrorCode.SESSION_FULL

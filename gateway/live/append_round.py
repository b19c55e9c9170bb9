"""One round of appends to one session: what each event comes to, decided before and after the store's answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING

from msgspec import Struct

from turnwire.gateway.live.inbox import Append, Stored
from turnwire.protocol.errors import ErrorCode, SessionEnded, TurnwireError
from turnwire.protocol.messages import AckItem, BadEvent, Event, EventIn, NackItem
from turnwire.protocol.rules import Admitted, Duplicate, Ledger, same_event

if TYPE_CHECKING:
    from turnwire.gateway.sockets.publisher import PublisherConnection


class _Plan(Struct):
    """An append and what was decided for each of its events."""

    append: Append
    verdicts: list[Admitted | Duplicate | BadEvent]


class AppendRound:
    """Decides which events of a round are new, and afterwards what their senders are told. Plain code, no I/O."""

    __slots__ = ("_ledger", "_plain", "_plain_ids", "_plans", "duplicates", "first_seq", "refused", "stored")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._plans: list[_Plan] = []
        self._plain: Sequence[Append] = ()
        """The appends of a round in which all is good and new, so that nothing need be noted for each event."""
        self._plain_ids: list[str] = []
        self.stored: Mapping[int, Event] = {}
        """The events at all `candidates`; to be given before `admit`."""
        self.first_seq = ledger.head + 1
        self.duplicates = 0
        """Events answered that had been stored before."""
        self.refused: list[ErrorCode] = []
        """Why events were refused, one code for each."""

    def admit_plain(self, appends: Sequence[Append]) -> bool:
        """Decide the whole round at once, as usual: all is good and new. Else nothing is done, and False returned."""
        events: list[EventIn] = []
        for append in appends:
            for event in append.events:
                if isinstance(event, BadEvent):
                    return False
                if event.timestamp is None:
                    event.timestamp = append.received_at
                events.append(event)
        if self._ledger.admit_new(events) is None:
            return False
        self._plain = appends
        self._plain_ids = [event.event_id for event in events]
        return True

    def candidates(self, appends: Iterable[Append]) -> set[int]:
        """The positions that must be read before the appends of a round that is not plain can be decided."""
        return {
            seq
            for append in appends
            for event in append.events
            if isinstance(event, EventIn)
            for seq in self._ledger.candidates(event.event_id)
        }

    def admit(self, append: Append, ended: SessionEnded | None) -> None:
        """Decide an append. With `ended`, the session takes no new events; a REST append is then refused whole."""
        verdicts: list[Admitted | Duplicate | BadEvent] = []
        for event in append.events:
            if isinstance(event, BadEvent):
                verdicts.append(event)
            elif ended is not None and not self._is_stored(event):
                if append.done is not None:
                    _fail(append, ended)
                    return
                verdicts.append(BadEvent(event.event_id, ended.code, ended.message))
            else:
                if event.timestamp is None:
                    event.timestamp = append.received_at
                verdicts.append(self._ledger.admit(event, self.stored))
        self._plans.append(_Plan(append, verdicts))

    def _is_stored(self, event: EventIn) -> bool:
        return any(self.stored[seq].event_id == event.event_id for seq in self._ledger.candidates(event.event_id))

    def refuse(self, event_id: str, reason: str) -> None:
        """The store will never take this event."""
        self._note_each()
        refused = BadEvent(event_id, ErrorCode.INVALID_EVENT, f"the event cannot be stored: {reason}")
        for plan in self._plans:
            for index, event in enumerate(plan.append.events):
                if isinstance(event, EventIn) and event.event_id == event_id:
                    plan.verdicts[index] = refused

    def answer(self, durable: Sequence[Event], foreign: Mapping[str, Event]) -> None:
        """Tell every sender, in order. `durable` are the events that became durable in this round; `foreign` those
        that others have written, by eventId. May leave `durable` empty when nobody asks for the events themselves.
        """
        if self._plain and not foreign:
            self._answer_plain(durable)
            return
        self._note_each()
        by_seq = {event.seq: event for event in durable}
        replies: dict[PublisherConnection, list[AckItem | NackItem]] = {}
        for plan in self._plans:
            if plan.append.publisher is None:
                self._settle(plan, by_seq, foreign)
                continue
            replies.setdefault(plan.append.publisher, []).extend(
                self._reply(event, verdict, foreign)
                for event, verdict in zip(plan.append.events, plan.verdicts, strict=True)
            )
        for publisher, its in replies.items():
            weight = sum(plan.append.weight for plan in self._plans if plan.append.publisher is publisher)
            publisher.answered(its, weight)

    def _answer_plain(self, durable: Sequence[Event]) -> None:
        """All is stored, in the order of the round, from its first position on."""
        publisher = self._plain[0].publisher
        if publisher is not None and all(append.publisher is publisher for append in self._plain):
            acks = list(map(AckItem, self._plain_ids, count(self.first_seq)))
            publisher.acked(acks, sum(append.weight for append in self._plain))
            return
        at = 0
        for append in self._plain:
            start, at = at, at + len(append.events)
            if append.publisher is not None:
                append.publisher.acked(
                    list(map(AckItem, self._plain_ids[start:at], count(self.first_seq + start))), append.weight
                )
            elif append.done is not None and not append.done.done():
                append.done.set_result([Stored(event, duplicate=False) for event in durable[start:at]])

    def _note_each(self) -> None:
        """Note for each event of a plain round what was decided: something is out of the ordinary after all."""
        seqs = count(self.first_seq)
        self._plans += [_Plan(append, [Admitted(next(seqs)) for _ in append.events]) for append in self._plain]
        self._plain = ()

    def _reply(
        self, event: EventIn | BadEvent, verdict: Admitted | Duplicate | BadEvent, foreign: Mapping[str, Event]
    ) -> AckItem | NackItem:
        if isinstance(verdict, BadEvent):
            return self._nack(verdict.event_id, verdict.code, verdict.message)
        assert isinstance(event, EventIn)
        same = verdict.same if isinstance(verdict, Duplicate) else True
        found = foreign.get(event.event_id)
        duplicate = isinstance(verdict, Duplicate) or found is not None
        if not same or (found is not None and not same_event(found, event)):
            message = f"event {event.event_id!r} is stored already with another type or payload"
            return self._nack(event.event_id, ErrorCode.EVENT_CONFLICT, message)
        self.duplicates += duplicate
        return AckItem(event.event_id, self._seq(event, verdict), duplicate)

    def _nack(self, event_id: str | None, code: ErrorCode, message: str) -> NackItem:
        self.refused.append(code)
        return NackItem(event_id, code, message, code.facts.retryable)

    def _seq(self, event: EventIn, verdict: Admitted | Duplicate) -> int:
        """Where the event stands now: what was numbered in this round may have moved up."""
        if verdict.seq < self.first_seq:
            return verdict.seq
        return self._ledger.candidates(event.event_id)[0]

    def _settle(self, plan: _Plan, by_seq: Mapping[int, Event], foreign: Mapping[str, Event]) -> None:
        answers: list[Stored] = []
        for event, verdict in zip(plan.append.events, plan.verdicts, strict=True):
            if isinstance(verdict, BadEvent):
                self.refused.append(verdict.code)
                _fail(plan.append, TurnwireError(verdict.code, verdict.message, [verdict.message]))
                return
            assert isinstance(event, EventIn)
            duplicate = isinstance(verdict, Duplicate) or event.event_id in foreign
            self.duplicates += duplicate
            seq = self._seq(event, verdict)
            answers.append(Stored(by_seq.get(seq) or self.stored[seq], duplicate))
        if plan.append.done is not None and not plan.append.done.done():
            plan.append.done.set_result(answers)


def _fail(append: Append, error: TurnwireError) -> None:
    if append.done is not None and not append.done.done():
        append.done.set_exception(error)

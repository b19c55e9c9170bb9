"""Judges the history of a run against the promises of acks, order, fencing and delivery. Pure: no I/O, no clock.

An empty report means that nothing in the history contradicts the promise.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from tests.support.command_checker import broken_commands, is_of_a_command
from tests.support.history import Answer, Entry, Following, History, Publishing, Sending
from tests.support.violations import Kind, Violation


def check(histories: Iterable[History]) -> list[Violation]:
    """Return everything that contradicts the promises, session by session."""
    return [violation for history in histories for violation in _SessionCheck(history).run()]


def assert_clean(histories: Iterable[History]) -> None:
    """Raise AssertionError that counts and shows the violations, if there are any."""
    violations = check(histories)
    if violations:
        counts = Counter(str(violation.kind) for violation in violations)
        shown = "\n".join(str(violation) for violation in violations[:20])
        raise AssertionError(f"{len(violations)} violations {dict(counts)}, the first of them:\n{shown}")


class _SessionCheck:
    def __init__(self, history: History) -> None:
        self.history = history
        self.by_seq = {entry.seq: entry for entry in history.log}
        self.by_id: dict[str, list[Entry]] = defaultdict(list)
        for entry in history.log:
            self.by_id[entry.event_id].append(entry)
        self.head = max(self.by_seq, default=0)
        self.contents: dict[str, set[str]] = defaultdict(set)
        self.senders: dict[str, set[str]] = defaultdict(set)
        self.epochs: dict[str, set[int]] = defaultdict(set)
        self.gateways: dict[str, set[str]] = defaultdict(set)
        for publishing in history.publishings:
            for sending in publishing.sent:
                self._note(publishing.client, sending)
                self.epochs[sending.event_id].add(publishing.epoch)
                self.gateways[sending.event_id].add(publishing.gateway)
        self.by_rest: set[str] = set()
        for append in history.rest:
            for sending in append.sent:
                self._note(append.client, sending)
                self.by_rest.add(sending.event_id)

    def _note(self, client: str, sending: Sending) -> None:
        self.contents[sending.event_id].add(sending.content)
        self.senders[sending.event_id].add(client)

    def run(self) -> Iterator[Violation]:
        for rule in (
            self._log,
            self._answers,
            self._acks,
            self._rest_answers,
            self._orders,
            self._openings,
            self._fencing,
            self._followings,
        ):
            for kind, text in rule():
                yield Violation(kind, self.history.session_id, text)
        for kind, text in broken_commands(self.history):
            yield Violation(kind, self.history.session_id, text)

    def _log(self) -> Iterator[tuple[Kind, str]]:
        for expected, entry in enumerate(self.history.log, start=1):
            if entry.seq != expected:
                yield Kind.HOLE, f"seq={entry.seq} stands where {expected} should"
                break
        for event_id, entries in self.by_id.items():
            if len(entries) > 1:
                yield Kind.DOUBLED, f"{event_id!r} is at {[entry.seq for entry in entries]}"
            if is_of_a_command(event_id):
                continue
            if event_id not in self.contents:
                yield Kind.PHANTOM, f"{event_id!r} at seq={entries[0].seq} was never sent"
            elif any(entry.content not in self.contents[event_id] for entry in entries):
                yield Kind.CHANGED, f"{event_id!r} at seq={entries[0].seq} is not what was sent"

    def _answers(self) -> Iterator[tuple[Kind, str]]:
        for publishing in self.history.publishings:
            sent, answers = publishing.sent, publishing.answers
            if len(answers) > len(sent):
                yield Kind.MISANSWERED, f"{_name(publishing)}: {len(answers)} answers to {len(sent)} events"
            for index, (sending, answer) in enumerate(zip(sent, answers, strict=False)):
                if answer.event_id != sending.event_id and not (answer.event_id is None and answer.code):
                    text = f"answer {index} is for {answer.event_id!r}, not {sending.event_id!r}"
                    yield Kind.MISANSWERED, f"{_name(publishing)}: {text}"
                    break
                if answer.code:
                    yield from self._nack(publishing, sending, answer)

    def _nack(self, publishing: Publishing, sending: Sending, nack: Answer) -> Iterator[tuple[Kind, str]]:
        what = f"{_name(publishing)}: {sending.event_id!r} got a nack {nack.code}"
        if nack.retryable or nack.code == "storage_unavailable":
            yield Kind.NOT_FINAL, what
        same = any(entry.content == sending.content for entry in self.by_id.get(sending.event_id, []))
        if same and nack.code != "event_conflict":
            yield Kind.REFUSED, what

    def _acks(self) -> Iterator[tuple[Kind, str]]:
        for publishing in self.history.publishings:
            for sending, answer in zip(publishing.sent, publishing.answers, strict=False):
                if answer.seq is None:
                    continue
                entries = self.by_id.get(answer.event_id or "", [])
                what = f"{_name(publishing)}: {answer.event_id!r} acked at seq={answer.seq}"
                if not entries:
                    yield Kind.LOST, f"{what} is not in the log"
                elif all(entry.seq != answer.seq for entry in entries):
                    yield Kind.MOVED, f"{what} is at {entries[0].seq}"
                elif sending.content != entries[0].content:
                    yield Kind.CHANGED, f"{what} is stored with another content than this client sent"

    def _rest_answers(self) -> Iterator[tuple[Kind, str]]:
        for append in self.history.rest:
            for answered in append.stored or ():
                entries = self.by_id.get(answered.event_id, [])
                what = f"{append.client} (REST): {answered.event_id!r} answered with seq={answered.seq}"
                if not entries:
                    yield Kind.LOST, f"{what} is not in the log"
                elif all(entry.seq != answered.seq for entry in entries):
                    yield Kind.MOVED, f"{what} is at {entries[0].seq}"
                elif not _equal(entries[0], answered):
                    yield Kind.CHANGED, f"{what} is stored with another content"
            wanted = [sending.event_id for sending in append.sent]
            if append.stored is not None and [entry.event_id for entry in append.stored] != wanted:
                yield Kind.MISANSWERED, f"{append.client} (REST): the answer does not match the {len(wanted)} events"

    def _orders(self) -> Iterator[tuple[Kind, str]]:
        order: dict[str, dict[str, None]] = defaultdict(dict)
        refused = set(self.history.refusable)
        for publishing in self.history.publishings:
            order[publishing.client].update((sending.event_id, None) for sending in publishing.sent)
            answered = zip(publishing.sent, publishing.answers, strict=False)
            refused.update(sending.event_id for sending, answer in answered if answer.code)
        for append in self.history.rest:
            order[append.client].update((sending.event_id, None) for sending in append.sent)
        for client, event_ids in order.items():
            last, missing = 0, None
            for event_id in event_ids:
                entries = self.by_id.get(event_id, [])
                if len(self.senders[event_id]) > 1 or (not entries and event_id in refused):
                    continue
                if not entries:
                    missing = missing or event_id
                elif missing is not None:
                    yield Kind.SKIPPED, f"{client}: {event_id!r} is stored, {missing!r} sent before it is not"
                    break
                elif entries[0].seq < last:
                    yield Kind.MISORDERED, f"{client}: {event_id!r} at seq={entries[0].seq} was sent after seq={last}"
                    break
                else:
                    last = entries[0].seq

    def _openings(self) -> Iterator[tuple[Kind, str]]:
        acked: dict[str, int] = defaultdict(int)
        for publishing in self.history.publishings:
            opened = f"{_name(publishing)}: opened with lastSeq={publishing.opened_seq}"
            last = self.by_seq.get(publishing.opened_seq)
            if publishing.opened_seq > self.head:
                yield Kind.LOST, f"{opened}, the log ends at {self.head}"
            elif (last.event_id if last else None) != publishing.opened_event_id:
                yield Kind.MISOPENED, f"{opened} and lastEventId={publishing.opened_event_id!r}"
            if publishing.opened_seq < acked[publishing.client]:
                yield Kind.MISOPENED, f"{opened} after an ack of seq={acked[publishing.client]}"
            seqs = (answer.seq or 0 for answer in publishing.answers)
            acked[publishing.client] = max(acked[publishing.client], *seqs, 0)

    def _oldest_epoch(self, entry: Entry) -> int:
        """Return the oldest epoch whose writer can have stored the event."""
        if entry.epoch is not None:
            return entry.epoch
        return 0 if entry.event_id in self.by_rest else min(self.epochs.get(entry.event_id, {0}))

    def _newest_epoch(self, entry: Entry) -> float:
        """Return the newest epoch whose writer can have stored the event."""
        if entry.epoch is not None:
            return entry.epoch
        if entry.event_id in self.by_rest or entry.event_id not in self.epochs:
            return float("inf")
        return max(self.epochs[entry.event_id])

    def _fencing(self) -> Iterator[tuple[Kind, str]]:
        begun: dict[int, tuple[int, int]] = {}  # seq → newest epoch that surely stored something before, at which seq
        newest = (0, 0)
        claimed = Counter(publishing.epoch for publishing in self.history.publishings)
        for epoch, times in claimed.items():
            if times > 1:
                yield Kind.SHARED_EPOCH, f"{times} publishers were opened with epoch {epoch}"
        for entry in self.history.log:
            begun[entry.seq] = newest
            if self._newest_epoch(entry) < newest[0]:
                yield Kind.FENCED, f"seq={entry.seq} is of an older epoch than {newest[0]}, stored at seq={newest[1]}"
            if self._oldest_epoch(entry) > newest[0]:
                newest = (self._oldest_epoch(entry), entry.seq)
        for publishing in self.history.publishings:
            for answer in _acks_of(publishing):
                epoch, seq = begun.get(answer.seq or 0, (0, 0))
                if epoch > publishing.epoch:
                    yield Kind.FENCED, f"{_name(publishing)}: seq={answer.seq} acked, epoch {epoch} is at seq={seq}"
        yield from self._fencing_on_one_gateway()

    def _fencing_on_one_gateway(self) -> Iterator[tuple[Kind, str]]:
        """Check that on one gateway, `opened` reports everything that older epochs have stored."""
        for newer in self.history.publishings:
            for older in self.history.publishings:
                if older.gateway == newer.gateway and older.epoch < newer.epoch:
                    late = [answer.seq for answer in _acks_of(older) if (answer.seq or 0) > newer.opened_seq]
                    if late:
                        yield Kind.FENCED, f"{_name(older)}: acks of {late[:3]} beyond the opened of {_name(newer)}"
            for entry in self.history.log[newer.opened_seq :]:
                ours = self.gateways.get(entry.event_id) == {newer.gateway}
                if ours and self._newest_epoch(entry) < newer.epoch:
                    yield Kind.FENCED, f"seq={entry.seq} was stored after the opened of {_name(newer)}"
                    break

    def _followings(self) -> Iterator[tuple[Kind, str]]:
        reached: dict[str, int] = defaultdict(int)
        for following in self.history.followings:
            cursor = following.after_seq
            cursors = [cursor]
            for entry in following.received:
                yield from self._delivery(following, cursor, entry)
                cursor = max(cursor, entry.seq)
                cursors.append(cursor)
            reached[following.client] = max(reached[following.client], cursor)
            for count, seq in following.caught_up:
                at = cursors[min(count, len(cursors) - 1)]
                if at != seq or len(following.caught_up) > 1:
                    text = f"caughtUp {following.caught_up} with the cursor at {at}"
                    yield Kind.WRONG_CAUGHT_UP, f"{following.client}: {text}"
        for client in self.history.must_have_all:
            if reached[client] < self.head:
                yield Kind.NOT_CAUGHT_UP, f"{client} has {reached[client]} of {self.head}"

    def _delivery(self, following: Following, cursor: int, entry: Entry) -> Iterator[tuple[Kind, str]]:
        what = f"{following.client}: seq={entry.seq}"
        if entry.seq <= cursor:
            yield Kind.SUBSCRIBER_REPEAT, f"{what} came after {cursor}"
        elif entry.seq > cursor + 1:
            yield Kind.SUBSCRIBER_HOLE, f"{what} came after {cursor}"
        stored = self.by_seq.get(entry.seq)
        if stored is None:
            yield Kind.NOT_DURABLE, f"{what} is not in the log"
        elif not _equal(stored, entry):
            yield Kind.DIVERGED, f"{what} was delivered as {entry}, stored as {stored}"


def _acks_of(publishing: Publishing) -> Iterator[Answer]:
    return (answer for answer in publishing.answers if answer.seq is not None)


def _equal(one: Entry, other: Entry) -> bool:
    return (one.event_id, one.content, one.timestamp) == (other.event_id, other.content, other.timestamp)


def _name(publishing: Publishing) -> str:
    return f"{publishing.client} in epoch {publishing.epoch} on {publishing.gateway}"

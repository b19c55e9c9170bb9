"""The rules: limits of values, status transitions, and the position of an event in its session's log."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from datetime import MAXYEAR, MINYEAR, datetime
from itertools import count, islice

import msgspec
from msgspec import Struct

from turnwire.protocol.errors import InvalidMessage, MalformedEvent, TooLarge
from turnwire.protocol.log.event_digests import event_digests, packed_digests, unpacked_digests
from turnwire.protocol.messages import Event, EventIn, JsonObject, Limits, SessionStatus, Signal
from turnwire.protocol.times import to_utc
from turnwire.protocol.values import fault_of, is_storable, json_text, object_fault, packed, plain_text, unpacked

DIGEST_PAGE = 1000
"""Events for each page of a session's digests."""

_canonical = msgspec.json.Encoder(order="sorted", enc_hook=int).encode  # a driver's Int64 is encoded as an int


# --- values ----------------------------------------------------------------------------------------------------------


def check_id(value: str, name: str, limits: Limits) -> None:
    """Raise InvalidMessage unless `value` has 1 to `limits.id_chars` characters."""
    if not 1 <= len(value) <= limits.id_chars:
        raise InvalidMessage(f"{name} must have 1 to {limits.id_chars} characters, has {len(value)}")


def check_new_session_id(value: str, limits: Limits) -> None:
    """Raise InvalidMessage for `.` and `..`, which no new session may be called: proxies and URL parsers remove them
    from a path, so no request could reach the session."""
    check_id(value, "sessionId", limits)
    if value in (".", ".."):
        raise InvalidMessage(f"sessionId must not be {value}, which has a meaning of its own in a path")


def check_event(event: EventIn, limits: Limits) -> None:
    """Raise MalformedEvent, naming the field and the limit, for an event that must not be stored."""
    if not 1 <= len(event.event_id) <= limits.id_chars:
        raise MalformedEvent(f"eventId must have 1 to {limits.id_chars} characters, has {len(event.event_id)}")
    if not is_storable(event.payload, limits.depth):
        raise MalformedEvent(f"payload{fault_of(event.payload, limits.depth)}")
    if event.timestamp is not None:
        check_timestamp(event.timestamp)


def check_timestamp(moment: datetime) -> None:
    """Raise MalformedEvent for a time without a UTC offset, or beyond the years 1 to 9999 in UTC."""
    if moment.tzinfo is None:
        raise MalformedEvent("timestamp must have a UTC offset")
    if not MINYEAR < moment.year < MAXYEAR:
        try:
            to_utc(moment)
        except OverflowError:
            raise MalformedEvent("timestamp must be within the years 1 to 9999 in UTC") from None


def check_signal(signal: Signal, size: int, limits: Limits) -> None:
    """Raise InvalidMessage or TooLarge for a signal that must not be fanned out. `size` is in bytes, as received."""
    if size > limits.event_bytes:
        raise TooLarge(f"the signal has {size} bytes, over the limit of {limits.event_bytes}")
    check_id(signal.key, "key", limits)
    fault = object_fault(signal.payload, limits.depth)
    if fault is not None:
        raise InvalidMessage(f"payload{fault}")


def checked_metadata(metadata: JsonObject, limits: Limits) -> JsonObject:
    """Return metadata as it is kept in memory: packed if it is large.

    It must have been decoded from JSON. Raises InvalidMessage or TooLarge for what must not be stored.
    """
    text = plain_text(metadata, limits.depth)
    if text is None:
        fault = object_fault(metadata, limits.depth)
        if fault is not None:
            raise InvalidMessage(f"metadata{fault}")
        text = json_text(metadata)
    if len(text) > limits.metadata_bytes:
        raise TooLarge(f"metadata is over the limit of {limits.metadata_bytes} bytes")
    return packed(metadata, text)


def check_end_reason(reason: str | None, limits: Limits) -> None:
    if reason is not None:
        check_id(reason, "reason", limits)


def same_event(stored: Event, event: EventIn) -> bool:
    """Return whether `event` has the type and the payload of the stored event.

    The timestamp does not count: the gateway may have set it.
    """
    if stored.type != event.type or stored.payload != event.payload:
        return False
    return _canonical(stored.payload) == _canonical(event.payload)  # tells 1, 1.0 and true apart


def same_object(stored: JsonObject, given: JsonObject) -> bool:
    """Return whether two JSON objects are equal; `1`, `1.0` and `true` differ."""
    stored, given = unpacked(stored), unpacked(given)
    return stored == given and _canonical(stored) == _canonical(given)


# --- status ----------------------------------------------------------------------------------------------------------


def has_ended(status: SessionStatus) -> bool:
    return status == "completed" or status == "failed"


def status_after_event(status: SessionStatus) -> SessionStatus:
    """Return the status after an event, which makes an initiated session active and changes nothing else."""
    return "active" if status == "initiated" else status


# --- the log ---------------------------------------------------------------------------------------------------------


class Admitted(Struct, frozen=True, gc=False):
    """A new event that takes position `seq`."""

    seq: int


class Duplicate(Struct, frozen=True, gc=False):
    """An event whose eventId is known, at position `seq`. `same` says whether type and payload match too."""

    seq: int
    same: bool


class Ledger:
    """The ids that a session's writer knows: those of events 1…head, and those numbered but not yet durable.

    A writer must know the ids of all positions before the one it takes. With the store's unique key on the position,
    this keeps duplicates and holes out of the log. Ids learned one by one are kept exactly. Older ones may be known by
    digest alone (`add_digests`): a match must be verified against the event.

    Each known event takes about 120 bytes, or 135 for a UUID kept exactly (tracemalloc, CPython 3.11).
    """

    __slots__ = ("_digests", "_exact", "_fresh", "_made", "_pending", "head")

    def __init__(self) -> None:
        self.head = 0
        """The highest seq known to be durable."""
        self._exact: dict[str, int] = {}
        self._digests: dict[int, int | list[int]] = {}
        self._pending: dict[str, EventIn] = {}
        self._fresh: Sequence[int] = ()
        """The digests of all pending ids, or of none."""
        self._made = array("Q")
        """The digests of the last ids in `_exact`: of those that had been compared with others by digest."""

    @property
    def next_seq(self) -> int:
        return self.head + len(self._pending) + 1

    def add_digests(self, packed: bytes) -> None:
        """Learn the next positions after `head` by their digests (see `pack_digests`).

        Raises ValueError once a position has been learned by id.
        """
        if self._exact or self._pending:
            raise ValueError(f"digests come first, {len(self._exact)} known and {len(self._pending)} pending")
        for digest in unpacked_digests(packed):
            self.head += 1
            self._add_digest(digest, self.head)

    def _add_digest(self, digest: int, seq: int) -> None:
        known = self._digests.setdefault(digest, seq)
        if known != seq:
            self._digests[digest] = [*known, seq] if isinstance(known, list) else [known, seq]

    def learn(self, seq: int, event_id: str) -> None:
        """Learn that position `seq`, the one after head, is durable and holds `event_id`, whoever wrote it.

        The event is no longer pending. Pending events take the positions after it. Raises ValueError for another `seq`.
        """
        if seq != self.head + 1:
            raise ValueError(f"learned seq={seq}, expected={self.head + 1}")
        self.head = seq
        self._exact[event_id] = seq
        del self._made[:]
        self.drop_pending(event_id)

    def candidates(self, event_id: str) -> list[int]:
        """Return the durable positions that may hold this id; at most one does. Empty for an id that is new."""
        exact = self._exact.get(event_id)
        if exact is not None:
            return [exact]
        if not self._digests:
            return []
        known = self._digests.get(event_digests([event_id])[0], [])
        return known if isinstance(known, list) else [known]

    def admit(self, event: EventIn, stored: Mapping[int, Event]) -> Admitted | Duplicate:
        """Give `event` a position, or find the one it has. A new one is pending until it is durable or dropped.

        `stored` holds the events at `candidates(event.event_id)`, by seq.
        """
        pending = self._pending.get(event.event_id)
        if pending is not None:
            seq = self.head + 1 + list(self._pending).index(event.event_id)
            same = pending.type == event.type and _canonical(pending.payload) == _canonical(event.payload)
            return Duplicate(seq, same)
        for seq in self.candidates(event.event_id):
            found = stored[seq]
            if found.event_id == event.event_id:
                return Duplicate(seq, same_event(found, event))
        admitted = Admitted(self.next_seq)
        self._pending[event.event_id] = event
        self._fresh = ()
        return admitted

    def admit_new(self, events: Sequence[EventIn]) -> int | None:
        """Admit all events and return the first one's seq, or do nothing and return None if one may be known."""
        new = {event.event_id: event for event in events}
        if len(new) < len(events) or not self._exact.keys().isdisjoint(new):
            return None
        if self._pending and not self._pending.keys().isdisjoint(new):
            return None
        digests: Sequence[int] = event_digests(new) if self._digests else ()
        if not self._digests.keys().isdisjoint(digests):
            return None
        first = self.next_seq
        self._fresh = digests if not self._pending else ()
        self._pending.update(new)
        return first

    def pending(self) -> Iterator[tuple[int, EventIn]]:
        """Iterate over the pending events, with the positions that they are to take."""
        return enumerate(self._pending.values(), start=self.head + 1)

    def learn_pending(self) -> None:
        """Learn that all pending events are durable, at the positions from `pending`."""
        self._exact.update(zip(self._pending, count(self.head + 1)))
        self.head += len(self._pending)
        if self._fresh:
            self._made.extend(self._fresh)
        elif self._made and self._pending:
            del self._made[:]
        self.forget_pending()

    def drop_pending(self, event_id: str) -> None:
        """Drop one pending event. The ones after it move up."""
        if self._pending.pop(event_id, None) is not None:
            self._fresh = ()

    def forget_pending(self) -> None:
        """Drop all pending events. They may or may not be stored: only the log can tell."""
        self._pending.clear()
        if self._fresh:
            self._fresh = ()

    @property
    def tail_length(self) -> int:
        """The number of ids that are known exactly."""
        return len(self._exact)

    def tail(self) -> tuple[int, list[str]]:
        """Return the first position after those that are known by digest alone, and the ids from there to the head."""
        return self.head - len(self._exact) + 1, list(self._exact)

    def fold(self) -> list[bytes]:
        """Replace full pages of exact ids by digests. Return the packed pages, in order, each of DIGEST_PAGE ids.

        The first page returned follows the positions already known by digest.
        """
        folded = self.head - len(self._exact)
        pages = []
        while self.head - folded >= DIGEST_PAGE:
            ids = list(islice(self._exact, DIGEST_PAGE))
            digests = self._digests_of(ids)
            for event_id, digest in zip(ids, digests, strict=True):
                self._add_digest(digest, self._exact.pop(event_id))
            pages.append(packed_digests(digests))
            folded += DIGEST_PAGE
        return pages

    def _digests_of(self, ids: Sequence[str]) -> array[int]:
        """Return the digests of the first ids in `_exact`, and keep only those of the ids after them."""
        missing = min(len(ids), len(self._exact) - len(self._made))
        made = len(ids) - missing
        digests = event_digests(ids[:missing]) + self._made[:made]
        del self._made[:made]
        return digests

    @property
    def folded_pages(self) -> int:
        """The number of pages known by digest."""
        return (self.head - len(self._exact)) // DIGEST_PAGE

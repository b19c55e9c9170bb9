"""Finds how far logs extend beyond what is known: many logs at a time, and without reading payloads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from turnwire.store.event_documents import Document, position_key
from turnwire.store.event_log import EventLog

_STRIDES = (1, 2, 4, 16, 64, 256)


class Head(Struct, frozen=True):
    """The last event of a log."""

    seq: int
    at: datetime
    """Its timestamp."""


class _Search(Struct):
    """A search for the head: it is at `low` or later, and before `high`."""

    low: int
    high: int | None = None
    at: datetime | None = None
    """The timestamp of the event at `low`, once it has been seen."""

    def positions(self) -> list[int]:
        """Return the next positions to query; none once the head is found. A log that has moved has usually moved by a
        few events."""
        if self.high is not None:
            step = max(1, (self.high - self.low) // 5)
            return list(range(self.low + step, self.high, step))
        return [self.low + stride for stride in (_STRIDES if self.at is not None else _STRIDES[:1])]

    def learn(self, asked: Iterable[int], found: Mapping[int, Document]) -> None:
        """Narrow the search. Since a log has no holes, the head is between the last position with an event and the next
        queried one."""
        if found:
            self.low = max(found)
            self.at = found[self.low]["timestamp"]
        gone = [seq for seq in asked if seq > self.low]
        if gone:
            self.high = min(gone)


async def heads_behind(log: EventLog, known: Mapping[str, int]) -> dict[str, Head]:
    """Return the heads of the logs that extend beyond what is `known` (sessionId → seq). Raises StorageUnavailable.

    If none does, this costs one query for each READ_WINDOW sessions.
    """
    searches = {session_id: _Search(seq) for session_id, seq in known.items()}
    while asked := {session_id: seqs for session_id, each in searches.items() if (seqs := each.positions())}:
        found = await _look(log, asked)
        for session_id, seqs in asked.items():
            searches[session_id].learn(seqs, found.get(session_id, {}))
    return {key: Head(each.low, each.at) for key, each in searches.items() if each.at is not None}


async def _look(log: EventLog, asked: Mapping[str, list[int]]) -> dict[str, dict[int, Document]]:
    """Return the events at those positions that hold one: sessionId → seq → event."""
    places = {position_key(session_id, seq): (session_id, seq) for session_id, seqs in asked.items() for seq in seqs}
    found: dict[str, dict[int, Document]] = {}
    for key, document in (
        await log.found([{"_id": key, "sessionId": session_id} for key, (session_id, _) in places.items()])
    ).items():
        session_id, seq = places[key]
        found.setdefault(session_id, {})[seq] = document
    return found

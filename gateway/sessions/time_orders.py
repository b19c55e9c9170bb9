"""The order by time of sessions whose timestamps have gone backwards."""

from __future__ import annotations

import asyncio
import random
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from turnwire.protocol.times import to_millis
from turnwire.store.event_log import EventLog

MOST_BYTES: Final = 64 * 1024 * 1024
_BYTES_PER_EVENT: Final = 12
AT_ONCE: Final = 4096
"""Approximate number of events that are sorted at once. Nothing else runs meanwhile, not even in other threads."""
_SAMPLES: Final = 16
"""How many timestamps are sampled to find each border between two such lots."""


class _Order:
    """The times of a session's events in milliseconds since 1970, and the seqs in the order of these times."""

    __slots__ = ("seqs", "times")

    def __init__(self, times: array[int], seqs: array[int]) -> None:
        self.times = times
        self.seqs = seqs

    def add(self, time: int) -> None:
        """Add the next event."""
        at = bisect_right(self.seqs, time, key=lambda seq: self.times[seq - 1])
        self.times.append(time)
        self.seqs.insert(at, len(self.times))


class TimeOrders:
    """Orders sessions by time, one at a time, and keeps the most recently used orders.

    An order is as long as its log, so it is made in a thread, and extended as the log grows.
    """

    def __init__(self, log: EventLog, *, most_bytes: int = MOST_BYTES) -> None:
        self._log = log
        self._most_bytes = most_bytes
        self._kept: dict[tuple[str, int | None], _Order] = {}
        self._making = asyncio.Lock()
        self.made = 0
        """How many orders have been made from a whole log."""

    async def seqs(self, session_id: str, last_seq: int, life: int | None) -> Sequence[int]:
        """Return the seqs 1…last_seq, at least one, ordered by timestamp, then seq. Use the result before the next
        await.

        Raises StorageUnavailable, or LogHole if an event is missing.
        """
        async with self._making:
            order = self._kept.pop((session_id, life), None)
            if order is None or not await self._goes_on(order, session_id, last_seq):
                order = await self._make(session_id, last_seq, life)
            self._keep((session_id, life), order)
            return order.seqs

    async def _goes_on(self, order: _Order, session_id: str, last_seq: int) -> bool:
        """Add what is new in the log. Return False if there is much, or if the log has lost its end since."""
        known = len(order.times)
        if not known <= last_seq <= known + AT_ONCE:
            return False
        found = [to_millis(moment) for _, _, moment in await self._log.read_ids(session_id, known, last_seq)]
        if found[0] != order.times[-1]:
            return False
        for time in found[1:]:
            order.add(time)
        return True

    async def _make(self, session_id: str, last_seq: int, life: int | None) -> _Order:
        times = await self._log.times(session_id, last_seq, life)
        self.made += 1
        seqs = sorted_seqs(times) if len(times) <= AT_ONCE else await asyncio.to_thread(sorted_seqs, times)
        return _Order(times, seqs)

    def _keep(self, key: tuple[str, int | None], order: _Order) -> None:
        self._kept[key] = order
        size = sum(len(each.times) for each in self._kept.values()) * _BYTES_PER_EVENT
        while size > self._most_bytes:
            size -= len(self._kept.pop(next(iter(self._kept))).times) * _BYTES_PER_EVENT


def sorted_seqs(times: array[int]) -> array[int]:
    """Return 1…len(times), ordered by time, then number. Sorts a lot at a time, so that other threads can run."""
    count = len(times) // AT_ONCE
    sample = sorted(random.sample(times, count * _SAMPLES))
    borders = sample[_SAMPLES // 2 :: _SAMPLES]
    lots: list[list[int]] = [[] for _ in range(len(borders) + 1)]
    for seq, time in enumerate(times, start=1):
        lots[bisect_right(borders, time)].append(seq)
    seqs = array("I")
    for lot in lots:
        seqs.extend(sorted(lot, key=lambda seq: times[seq - 1]))
    return seqs

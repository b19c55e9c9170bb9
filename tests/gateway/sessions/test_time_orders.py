"""The order by time of a long log is made once, goes on with the log, and is sorted a lot at a time."""

from __future__ import annotations

import random
from array import array
from datetime import UTC, datetime
from typing import cast

import pytest

from turnwire.gateway.sessions import time_orders
from turnwire.gateway.sessions.time_orders import TimeOrders, sorted_seqs
from turnwire.protocol.times import from_millis
from turnwire.store.event_log import EventLog

STARTED = round(datetime(2025, 1, 1, tzinfo=UTC).timestamp() * 1000)


class Log:
    """A log whose reads are counted."""

    def __init__(self, times: list[int]) -> None:
        self.stored = [STARTED + time for time in times]
        self.ids_read = 0

    async def times(self, _session_id: str, last_seq: int, _life: int | None) -> array[int]:
        return array("q", self.stored[:last_seq])

    async def read_ids(self, _session_id: str, first: int, last: int) -> list[tuple[int, str, datetime]]:
        self.ids_read += last - first + 1
        return [(seq, f"e{seq}", from_millis(self.stored[seq - 1])) for seq in range(first, last + 1)]


def orders_of(log: Log, most_bytes: int = 1024 * 1024) -> TimeOrders:
    return TimeOrders(cast("EventLog", log), most_bytes=most_bytes)


def expected(log: Log, last_seq: int) -> list[int]:
    return sorted(range(1, last_seq + 1), key=lambda seq: log.stored[seq - 1])


async def test_ties_are_ordered_by_seq() -> None:
    orders = orders_of(Log([5, 3, 5, 1, 3, 3, 9, 0]))
    assert list(await orders.seqs("s", 8, 1)) == [8, 4, 2, 5, 6, 1, 3, 7]


async def test_an_order_is_made_once_and_continues_with_the_log() -> None:
    chance = random.Random(1)
    log = Log([chance.randrange(1000) for _ in range(3000)])
    orders = orders_of(log)
    for last_seq in (1000, 1000, 1001, 1500, 3000):
        assert list(await orders.seqs("s", last_seq, 1)) == expected(log, last_seq)
    assert orders.made == 1
    assert log.ids_read == 2000 + 4  # what is new, and each time the last event that was known


async def test_an_order_is_made_again_when_the_log_has_lost_its_end() -> None:
    log = Log([3, 1, 2, 9, 4])
    orders = orders_of(log)
    await orders.seqs("s", 5, 1)
    del log.stored[3:]
    assert list(await orders.seqs("s", 3, 1)) == [2, 3, 1]
    log.stored[2:] = [STARTED, STARTED + 1]
    assert list(await orders.seqs("s", 4, 1)) == [3, 2, 4, 1]
    assert orders.made == 3


async def test_another_life_of_a_session_has_an_order_of_its_own() -> None:
    log = Log([2, 1])
    orders = orders_of(log)
    await orders.seqs("s", 2, 1)
    log.stored = [STARTED + 1, STARTED + 2]
    assert list(await orders.seqs("s", 2, 2)) == [1, 2]


async def test_orders_are_kept_up_to_a_number_of_bytes() -> None:
    log = Log([2, 1] * 500)
    orders = orders_of(log, most_bytes=12 * 2500)
    for session_id in ("a", "b", "a", "c", "a", "b"):
        await orders.seqs(session_id, 1000, 1)
    assert orders.made == 4  # b went for c


@pytest.mark.parametrize("values", [1, 2, 50, 10**9], ids=str)
async def test_a_log_of_any_times_is_sorted_in_small_lots(monkeypatch: pytest.MonkeyPatch, values: int) -> None:
    monkeypatch.setattr(time_orders, "AT_ONCE", 16)
    chance = random.Random(values)
    log = Log([chance.randrange(values) for _ in range(2000)])
    assert list(await orders_of(log).seqs("s", 2000, 1)) == expected(log, 2000)


def test_no_lot_is_large_even_if_nearly_all_times_lie_close_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_orders, "AT_ONCE", 64)
    lots: list[int] = []

    def counted(values: list[int], **options: object) -> list[int]:
        lots.append(len(values))
        return sorted(values, **options)  # type: ignore[call-overload, no-any-return]  # as it was called

    monkeypatch.setattr(time_orders, "sorted", counted, raising=False)
    chance = random.Random(3)
    times = array("q", [0, *(10**12 + chance.randrange(10**6) for _ in range(6400))])
    seqs = sorted_seqs(times)
    assert sum(lots[1:]) == len(seqs) == 6401  # the first is the sample
    assert max(lots[1:]) <= 64 * 8

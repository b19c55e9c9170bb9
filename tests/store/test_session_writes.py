"""Ends and creations of many sessions share their writes, and each still learns its own outcome."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from turnwire.store.mongo import Store
from turnwire.store.sessions import SessionRecord

STARTED = datetime(2025, 12, 21, 10, 30, tzinfo=UTC)
ENDED = datetime(2025, 12, 21, 10, 31, tzinfo=UTC)
EARLIER = datetime(2025, 12, 21, 10, 30, 30, tzinfo=UTC)


def records(count: int) -> list[SessionRecord]:
    return [SessionRecord(f"s{number}", "en", STARTED, epoch=1) for number in range(count)]


async def test_creations_that_share_an_insert_each_learn_their_outcome(store: Store) -> None:
    some = records(30)
    assert await asyncio.gather(*(store.sessions.create(record) for record in some[10:20])) == [True] * 10
    created = await asyncio.gather(*(store.sessions.create(record) for record in some))
    assert created == [not 10 <= number < 20 for number in range(30)]


async def test_ends_that_share_a_bulk_each_learn_their_outcome(store: Store) -> None:
    some = records(30)
    await asyncio.gather(*(store.sessions.create(record) for record in some))
    for number in (3, 17):
        assert await store.sessions.end(some[number], "failed", EARLIER, "first")
    stood = await asyncio.gather(*(store.sessions.end(record, "completed", ENDED, None) for record in some))
    assert [number for number in range(30) if not stood[number]] == [3, 17]
    for number, record in enumerate(some):
        stored = await store.sessions.load(record.session_id)
        assert stored is not None
        expected = ("failed", EARLIER, "first") if number in (3, 17) else ("completed", ENDED, None)
        assert (stored.status, stored.ended_at, stored.end_reason) == expected


async def test_an_end_whose_conditions_do_not_hold_changes_nothing(store: Store) -> None:
    some = records(5)
    await asyncio.gather(*(store.sessions.create(record) for record in some))
    stood = await asyncio.gather(
        *(
            store.sessions.end(record, "failed", ENDED, "abandoned", epoch=n, heartbeat=0)
            for n, record in enumerate(some)
        )
    )
    assert stood == [False, True, False, False, False]
    stored = await store.sessions.load("s0")
    assert stored is not None
    assert (stored.status, stored.ended_at) == ("initiated", None)


async def test_of_two_equal_ends_one_stands_and_it_stands_in_every_attempt(store: Store) -> None:
    (record,) = records(1)
    await store.sessions.create(record)
    assert await store.sessions.end(record, "completed", ENDED, "bye", "here")
    assert not await store.sessions.end(record, "completed", ENDED, "bye", "there")
    assert await store.sessions.end(record, "completed", ENDED, "bye", "here")


async def test_an_end_of_an_unknown_session_does_not_succeed(store: Store) -> None:
    here, nowhere = records(2)
    await store.sessions.create(here)
    ends = (store.sessions.end(record, "completed", ENDED, None) for record in (here, nowhere))
    assert await asyncio.gather(*ends) == [True, False]

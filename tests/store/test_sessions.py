"""Session documents: created once, ended once, never reverted by lazy writes; and listing them."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.failpoints import failing
from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import SessionStatus
from turnwire.store.mongo import Store
from turnwire.store.sessions import SessionQuery, SessionRecord
from turnwire.store.unended import UnendedSession

NOW = datetime(2025, 6, 1, 12, 0, 0, 123000, UTC)
STATUSES: list[SessionStatus] = ["initiated", "active", "completed", "failed"]


def record(session_id: str = "s", started_at: datetime = NOW, **fields: Any) -> SessionRecord:
    return SessionRecord(session_id, fields.pop("language", "en"), started_at, **fields)


async def load(store: Store, session_id: str = "s") -> SessionRecord:
    found = await store.sessions.load(session_id)
    assert found is not None
    return found


# --- creating, claiming, ending --------------------------------------------------------------------------------------


async def test_a_created_session_is_loaded_as_it_was(store: Store) -> None:
    given_ = record("ü/1", metadata={"i": 2**40, "f": 1.0, "$x": {"a.b": [None, True]}}, status="active")
    assert await store.sessions.create(given_)
    assert repr(await load(store, "ü/1")) == repr(given_)
    assert await store.sessions.load("nobody") is None


async def test_only_the_first_creation_of_a_session_succeeds(store: Store) -> None:
    records = [record("same", language=f"l{n}") for n in range(30)] + [record(f"other{n}") for n in range(30)]
    random.Random(1).shuffle(records)
    created = await asyncio.gather(*(store.sessions.create(each) for each in records))
    winners = [each for each, won in zip(records, created, strict=True) if won]
    assert len(winners) == 31
    (winner,) = [each for each in winners if each.session_id == "same"]
    assert (await load(store, "same")).language == winner.language
    assert not await store.sessions.create(record("same"))


async def test_only_one_claim_of_an_epoch_succeeds(store: Store) -> None:
    await store.sessions.create(record())
    claims = await asyncio.gather(*(store.sessions.claim(record(epoch=0)) for _ in range(10)))
    assert sum(claims) == 1
    assert (await load(store)).epoch == 1
    assert await store.sessions.claim(record(epoch=1))
    assert not await store.sessions.claim(record("nobody"))


async def test_a_claim_fails_if_the_session_differs_from_what_the_gateway_knows(store: Store) -> None:
    known = record()
    await store.sessions.create(known)
    await store.sessions.end(known, "failed", NOW, None)
    assert not await store.sessions.claim(known)
    known = await load(store)
    assert await store.sessions.claim(known)


async def test_a_claim_does_not_depend_on_the_order_of_times(store: Store) -> None:
    known = record()
    await store.sessions.create(known)
    await store.sessions.mark_time_disordered(known)
    assert await store.sessions.claim(known)


async def test_a_lost_race_is_counted_in_the_session_and_never_taken_back(store: Store) -> None:
    known = record()
    await store.sessions.create(known)
    for count, contested in ((0, 1), (1, 2), (0, 2)):
        await store.sessions.contest(replace(known, contested=count))
        assert (await load(store)).contested == contested


async def test_a_session_document_is_ended_once(store: Store) -> None:
    await store.sessions.create(record())
    later = NOW + timedelta(seconds=5)
    ends = await asyncio.gather(
        *(store.sessions.end(record(last_seq=n), "failed", later + timedelta(seconds=n), f"r{n}") for n in range(10))
    )
    assert sum(ends) == 1
    ended = await load(store)
    number = ends.index(True)
    assert (ended.status, ended.ended_at) == ("failed", later + timedelta(seconds=number))
    assert (ended.end_reason, ended.last_seq) == (f"r{number}", number)
    assert not await store.sessions.end(record(), "completed", later, None)


async def test_an_end_may_require_fields_to_be_unchanged(store: Store) -> None:
    await store.sessions.create(record(epoch=2, heartbeat=7))
    assert not await store.sessions.end(record(), "failed", NOW, "abandoned", epoch=2, heartbeat=6)
    assert not await store.sessions.end(record(), "failed", NOW, "abandoned", epoch=1, heartbeat=7)
    assert await store.sessions.end(record(), "failed", NOW, "abandoned", epoch=2, heartbeat=7)


# --- lazy fields -----------------------------------------------------------------------------------------------------


async def test_lazy_fields_are_written_for_many_at_once(store: Store) -> None:
    records = [record(f"s{n}") for n in range(250)]
    await asyncio.gather(*(store.sessions.create(each) for each in records))
    for number, each in enumerate(records, start=1):
        each.last_seq, each.last_event_at, each.status, each.heartbeat = number, NOW, "active", number
    assert await store.sessions.save_lazy_fields(records) == {}
    for each in records[::49]:
        assert await load(store, each.session_id) == each


async def test_lazy_fields_never_undo_an_end(store: Store) -> None:
    stale = record()
    await store.sessions.create(stale)
    await store.sessions.end(record(last_seq=3), "completed", NOW, "done")
    stale.last_seq, stale.status = 9, "active"
    ahead = await store.sessions.save_lazy_fields([stale])
    found = ahead["s"]
    assert found is not None
    assert found.ended_at == NOW
    ended = await load(store)
    assert (ended.status, ended.ended_at, ended.end_reason) == ("completed", NOW, "done")
    known = replace(ended, last_seq=9)  # a gateway that knows of the end may write what came in the grace time
    assert await store.sessions.save_lazy_fields([known]) == {}
    assert await load(store) == known


async def test_lazy_fields_never_take_last_seq_back(store: Store) -> None:
    await store.sessions.create(record())
    await store.sessions.save_lazy_fields([record(last_seq=9, status="active", last_event_at=NOW)])
    ahead = await store.sessions.save_lazy_fields([record(last_seq=5, status="active"), record("nobody")])
    found = ahead["s"]
    assert found is not None
    assert (found.last_seq, ahead["nobody"]) == (9, None)
    assert (await load(store)).last_event_at == NOW


async def test_sessions_that_have_not_ended_are_found(store: Store) -> None:
    for number, status in enumerate(STATUSES * 3):
        await store.sessions.create(record(f"s{number}", NOW - timedelta(seconds=number), status=status))
    found = {session.session_id: session for session in await store.sessions.unended()}
    assert set(found) == {"s9", "s8", "s5", "s4", "s1", "s0"}
    assert found["s4"] == UnendedSession.of(record("s4", NOW - timedelta(seconds=4)))


async def test_the_session_store_raises_unavailable_when_the_database_is_away(store: Store, database_uri: str) -> None:
    async with failing(database_uri, "find", "insert", "update", "bulkWrite", errorCode=13):
        for call in (
            store.sessions.create(record()),
            store.sessions.load("s"),
            store.sessions.claim(record()),
            store.sessions.end(record(), "failed", NOW, None),
            store.sessions.mark_time_disordered(record()),
            store.sessions.save_lazy_fields([record()]),
            store.sessions.page(SessionQuery(limit=5)),
            store.sessions.unended(),
        ):
            with pytest.raises(StorageUnavailable):
                await call


async def test_a_creation_without_an_answer_is_reported_as_unknown(store: Store, database_uri: str) -> None:
    async with failing(database_uri, "insert", writeConcernError={"code": 64, "errmsg": "timed out"}):
        with pytest.raises(StorageUnavailable):
            await store.sessions.create(record())
    assert not await store.sessions.create(record())


# --- listing ---------------------------------------------------------------------------------------------------------


def key(each: SessionRecord) -> tuple[datetime, str]:
    return each.started_at, each.session_id


def expected(records: list[SessionRecord], query: SessionQuery) -> list[str]:
    """Return what a page must hold, by sorting everything."""
    found = [
        each
        for each in records
        if query.matches(each)
        and (query.started_after is None or each.started_at > query.started_after)
        and (query.started_before is None or each.started_at < query.started_before)
        and (query.before is None or key(each) < query.before)
    ]
    return [each.session_id for each in sorted(found, key=key, reverse=True)[: query.limit]]


async def fill(store: Store, seed: int, count: int) -> list[SessionRecord]:
    """Sessions at moments that are often equal, and spread over milliseconds to years."""
    chance = random.Random(seed)
    moments = [
        NOW + timedelta(milliseconds=chance.choice([1, 1500, 10**5, 10**7, 10**11]) * chance.randint(-9, 0))
        for _ in range(count // 3)
    ]
    records = [
        record(
            f"s{n:03d}", chance.choice(moments), status=chance.choice(STATUSES), language=chance.choice(["en", "de"])
        )
        for n in range(count)
    ]
    await asyncio.gather(*(store.sessions.create(each) for each in records))
    return records


async def test_paging_by_cursor_gives_the_whole_sorted_list(store: Store) -> None:
    records = await fill(store, 3, 60)
    for limit in (2, 7, 100):
        for status in ([], ["active"], ["completed", "failed"]):
            walked: list[str] = []
            query = SessionQuery(limit=limit, status=status)  # type: ignore[arg-type]
            while page := await store.sessions.page(query):
                assert len(page) <= limit
                walked += [each.session_id for each in page]
                query = replace(query, before=key(page[-1]))
            assert walked == expected(records, SessionQuery(limit=1000, status=status))  # type: ignore[arg-type]


async def test_many_sessions_of_the_same_moment_are_paged_in_order(store: Store) -> None:
    records = [record(f"s{n:03d}") for n in range(60)]
    await asyncio.gather(*(store.sessions.create(each) for each in records))
    walked: list[str] = []
    query = SessionQuery(limit=7)
    while page := await store.sessions.page(query):
        walked += [each.session_id for each in page]
        query = replace(query, before=key(page[-1]))
    assert walked == [f"s{n:03d}" for n in reversed(range(60))]


async def test_any_page_equals_a_slice_of_the_sorted_list(store: Store) -> None:
    records = await fill(store, 11, 90)
    moments = sorted({each.started_at for each in records})
    some = st.none() | st.sampled_from(moments) | st.sampled_from(moments).map(lambda m: m + timedelta(milliseconds=1))
    queries = st.builds(
        SessionQuery,
        limit=st.integers(1, 130),
        status=st.lists(st.sampled_from(STATUSES), max_size=2, unique=True),
        started_after=some,
        started_before=some,
        before=st.none() | st.sampled_from(records).map(key) | st.tuples(st.sampled_from(moments), st.just("s05")),
    )
    examples: list[SessionQuery] = []

    @settings(max_examples=40, suppress_health_check=list(HealthCheck))
    @given(queries)
    def draw(query: SessionQuery) -> None:
        examples.append(query)

    draw()
    for query in examples:
        assert [each.session_id for each in await store.sessions.page(query)] == expected(records, query), query


@pytest.mark.parametrize("moment", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)])
async def test_time_bounds_at_the_first_and_last_years_are_accepted(store: Store, moment: datetime) -> None:
    await store.sessions.create(record())
    early = moment < NOW
    assert len(await store.sessions.page(SessionQuery(limit=5, started_before=moment))) == (0 if early else 1)
    assert len(await store.sessions.page(SessionQuery(limit=5, started_after=moment))) == (1 if early else 0)
    assert len(await store.sessions.page(SessionQuery(limit=5, before=(moment, "x")))) == (0 if early else 1)


async def test_a_session_that_starts_in_the_future_is_listed_first(store: Store) -> None:
    await store.sessions.create(record("now", datetime.now(UTC).replace(microsecond=0)))
    await store.sessions.create(record("ahead", datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)))
    assert [each.session_id for each in await store.sessions.page(SessionQuery(limit=5))] == ["ahead", "now"]

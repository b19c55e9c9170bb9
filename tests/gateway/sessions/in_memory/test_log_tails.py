"""A gateway that leaves stores what it knows about logs, and another one uses that only if the log confirms it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from tests.support.in_memory import MemoryGateway, events, shrink_pages, until
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.sessions.log_tails import LogTails
from turnwire.store.digests import LogTail, tail_key


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of 8 events, and tails from 2 on."""
    shrink_pages(monkeypatch, 8)


def named(numbers: Iterable[int]) -> list[str]:
    return [f"e{number}" for number in numbers]


async def leave(gateway: MemoryGateway) -> None:
    await LogTails(gateway.store, gateway.sessions).save(1.0)
    await gateway.parts.lazy_fields.flush()


def reading(gateway: MemoryGateway, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return the list in which every read of eventIds is noted, as (first, last)."""
    read, noted = gateway.store.events.read_ids, list[tuple[int, int]]()

    async def read_ids(session_id: str, first: int, last: int) -> object:
        noted.append((first, last))
        return await read(session_id, first, last)

    monkeypatch.setattr(gateway.store.events, "read_ids", read_ids)
    return noted


async def judged(gateway: MemoryGateway, live: LiveSession, ids: Iterable[str]) -> list[tuple[int, bool]]:
    return [(each.event.seq, each.duplicate) for each in await gateway.append(live, *events(*ids))]


async def test_the_next_gateway_reads_only_the_last_event_that_the_one_before_knew(
    here: MemoryGateway, there: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.create("s", *events(*named(range(1, 14))))
    await leave(here)
    noted = reading(there, monkeypatch)
    live = await there.open()
    assert await judged(there, live, ["new", *named(range(1, 14))]) == [(14, False), *((n, True) for n in range(1, 14))]
    assert noted == [(13, 13)]


async def test_events_stored_after_a_gateway_has_left_are_read_from_the_log(
    here: MemoryGateway, there: MemoryGateway, join: StartMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.create("s", *events(*named(range(1, 5))))
    await leave(here)
    await there.append(await there.open(), *events(*named(range(5, 12))))
    await there.parts.lazy_fields.flush()
    third = join()
    noted = reading(third, monkeypatch)
    assert await judged(third, await third.open(), named([4, 5, 11, 12])) == [
        (4, True),
        (5, True),
        (11, True),
        (12, False),
    ]
    assert noted == [(9, 11)], "the first page is a digest by now, so that the tail says nothing more"


async def test_a_tail_is_stored_again_only_if_much_has_come_since(
    here: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await here.create("s", *events(*named(range(1, 4))))
    save, saved = here.store.events.digests.save_tails, list[list[str]]()

    async def save_tails(tails: list[tuple[str, int | None, LogTail]]) -> None:
        saved.extend(list(tail.ids) for _, _, tail in tails)
        await save(tails)

    monkeypatch.setattr(here.store.events.digests, "save_tails", save_tails)
    tails = LogTails(here.store, here.sessions)
    for number in (4, 5, 6):
        await tails.save(1.0)
        await here.append(live, *events(f"e{number}"))
    await tails.save(1.0)
    assert saved == [named(range(1, 4)), named(range(1, 6))]


async def test_a_tail_is_stored_while_events_are_under_way(here: MemoryGateway, there: MemoryGateway) -> None:
    live = await here.create("s", *events(*named(range(1, 4))))
    under_way = asyncio.create_task(here.append(live, *events("late")))
    await until(lambda: live.state.busy_since is not None)
    await LogTails(here.store, here.sessions).save(1.0)
    await under_way
    assert await judged(there, await there.open(), ["e2", "late", "new"]) == [(2, True), (4, True), (5, False)]
    stored = await here.store.events.digests.load_tail("s", live.state.record.life)
    assert stored is not None
    assert list(stored.ids) == named(range(1, 4))


async def test_pages_that_begin_with_what_was_handed_over_are_digests_as_any(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    await here.create("s", *events(*named(range(1, 7))))
    await leave(here)
    await there.append(await there.open(), *events(*named(range(7, 20))))
    await there.parts.lazy_fields.flush()
    handed_over = await there.store.events.digests.load("s", 19)
    await here.create("other", *events(*named(range(1, 20))))
    await here.parts.lazy_fields.flush()
    assert [ids for ids, _ in handed_over] == [ids for ids, _ in await here.store.events.digests.load("other", 19)]
    assert [len(times) for _, times in handed_over] == [64, 64]


async def test_a_tail_that_the_log_does_not_confirm_is_ignored(
    here: MemoryGateway, join: StartMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await here.create("s", *events(*named(range(1, 7))))
    tail, life = live.state.log.tail(), live.state.record.life
    for wrong in (
        replace_tail(tail, ids=[*named(range(1, 6)), "another"]),
        replace_tail(tail, times=tail.times[:-1] + type(tail.times)("q", [1])),
        replace_tail(tail, first=2, ids=tail.ids[1:], times=tail.times[1:]),
        replace_tail(tail, ids=[*tail.ids, "beyond"], times=tail.times + tail.times[:1]),
    ):
        await here.store.events.digests.save_tails([("s", life, wrong)])
        gateway = join()
        noted = reading(gateway, monkeypatch)
        assert (await judged(gateway, await gateway.open(), named([1, 6])), noted[-1]) == (
            [(1, True), (6, True)],
            (1, 6),
        )


def replace_tail(tail: LogTail, **fields: Any) -> LogTail:
    return msgspec.structs.replace(tail, **fields)


async def test_no_tail_is_stored_of_a_short_an_ended_or_an_uncertain_log(here: MemoryGateway) -> None:
    short, over, doubtful = [
        await here.create(name, *events(*named(range(count)))) for name, count in (("a", 1), ("b", 5), ("c", 5))
    ]
    await here.end(over)
    doubtful.state.log.as_of -= 1
    await leave(here)
    digests = here.store.events.digests
    assert [await digests.load_tail(each.session_id, each.state.record.life) for each in (short, over, doubtful)] == [
        None
    ] * 3


async def test_a_tail_is_dropped_with_the_end_of_the_log_and_with_the_session(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    stored = here.database.majority["digests"]
    for name in ("s", "t"):
        await here.create(name, *events(*named(range(1, 7))))
    await leave(here)
    assert set(stored) == {tail_key("s"), tail_key("t")}
    await here.store.events.digests.forget_after("s", 3, 6)
    assert await here.parts.erasing.erase("t", force=True)
    assert not stored

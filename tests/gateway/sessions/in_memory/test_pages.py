"""Lists show sessions as they are now, whichever gateway has them, and whatever it has not written yet."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.faults.collection import Collection, Cursor
from tests.support.faults.database import Document
from tests.support.in_memory import STARTED, Crowd, MemoryGateway, event, events, itself, pass_time
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.finding.listing import Listing
from turnwire.gateway.sessions import pages
from turnwire.gateway.sessions.log_heads import heads_behind
from turnwire.protocol.errors import Overloaded
from turnwire.protocol.messages import Session, SessionStatus
from turnwire.store.session_record import StoredSession
from turnwire.store.sessions import SessionQuery


async def listed(gateway: MemoryGateway, *status: SessionStatus, limit: int = 10) -> dict[str, Session]:
    found = await gateway.parts.pages.list_sessions(SessionQuery(limit=limit, status=status), itself)
    return {session.session_id: session for session in found}


@pytest.mark.parametrize("status", ["active", "completed"])
async def test_a_list_by_status_shows_sessions_as_they_are_now(here: MemoryGateway, status: SessionStatus) -> None:
    live = await here.create("s", event("a"))
    await here.create("other")
    if status == "completed":
        await here.end(live)
    assert list(await listed(here, status)) == ["s"]


async def test_a_list_by_status_is_also_exact_on_a_lone_gateway(join: StartMemory) -> None:
    alone = join(alone=True)
    await alone.create("s", event("a"))
    await alone.create("other")
    assert (list(await listed(alone, "active")), list(await listed(alone, "initiated"))) == (["s"], ["other"])


async def test_a_list_shows_what_another_gateway_has_made_of_a_session(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live, elsewhere = await here.create("s", event("a")), await there.open()
    live.state.audience = Crowd()
    await there.append(elsewhere, *events("b", "c"))
    await there.end(elsewhere)
    session = (await listed(here))["s"]
    assert (session.status, session.last_seq) == ("completed", 3)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 18, 83, 700])
async def test_a_list_shows_fields_that_another_gateway_has_not_written_yet(
    here: MemoryGateway, there: MemoryGateway, count: int
) -> None:
    await here.create("s", *(event(f"e{n}", at=n) for n in range(1, count + 1)))
    assert (await here.stored()).last_seq == 0
    session = (await listed(there))["s"]
    assert (session.status, session.last_seq) == ("active", count)
    assert session.last_event_at == f"2025-01-01T00:00:00.{count:03d}Z"
    assert there.live == {}


async def test_a_filter_by_status_finds_what_another_gateway_has_not_written_yet(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    await here.create("spoken", event("a"))
    await here.create("silent")
    assert (list(await listed(there, "active")), list(await listed(there, "initiated"))) == (["spoken"], ["silent"])
    assert sorted(await listed(there, "active", "failed")) == ["spoken"]


async def test_a_page_is_filled_although_some_that_were_read_do_not_pass(
    here: MemoryGateway, there: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "SCAN_SECONDS", 5.0)  # of virtual time, in which a query takes long
    for number in range(12):
        await here.create(f"s{number:02}", *(events("a") if number in (0, 1, 9) else []))
    assert list(await listed(there, "active", limit=2)) == ["s09", "s01"]
    query = SessionQuery(limit=2, status=("active",))
    found, stopped = await there.parts.pages.find(query, itself)
    assert (len(found), stopped) == (2, None)


async def test_a_list_that_takes_too_long_says_how_far_it_came(
    here: MemoryGateway, there: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        await here.create(f"s{number}")
    monkeypatch.setattr(pages, "SCAN_SECONDS", 0.0)
    found, stopped = await there.parts.pages.find(SessionQuery(limit=2, status=("active",)), itself)
    assert (found, stopped and stopped[1]) == ([], "s2")


async def test_a_list_tells_for_how_long_nothing_has_arrived_by_the_gateways_clock(join: StartMemory) -> None:
    alone = join(alone=True)
    live = await alone.create("s", event("a", at=10**9))  # by the bot's clock
    await pass_time(3600)
    (session,) = (await listed(alone)).values()
    assert 3_600_000 <= (alone.parts.pages.quiet_ms(session) or 0) < 3_700_000
    await alone.end(live)
    assert alone.parts.pages.quiet_ms((await listed(alone))["s"]) is None


async def test_how_long_a_session_of_another_gateway_was_quiet_is_not_guessed(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    await here.create("s", event("a"))
    assert there.parts.pages.quiet_ms((await listed(there))["s"]) is None


async def test_an_event_in_the_grace_time_is_seen_in_lists(here: MemoryGateway, there: MemoryGateway) -> None:
    live = await here.create("s", event("a"))
    await here.end(live)
    await here.append(live, event("b"))
    session = (await listed(there))["s"]
    assert (session.status, session.last_seq) == ("completed", 2)


async def test_a_list_reads_no_log_of_a_session_in_memory(here: MemoryGateway, there: MemoryGateway) -> None:
    live = await here.create("s", *events(*(f"e{n}" for n in range(40))))
    elsewhere = await there.open()
    await there.append(elsewhere, event("more"))
    session = (await listed(here))["s"]
    assert (live.state.record.last_seq, session.last_seq) == (40, 41)
    await pass_time(0.1)
    assert await heads_behind(here.store.events, {"s": 41}) == {}


async def test_two_lists_are_read_at_a_time_and_the_others_in_their_order(here: MemoryGateway) -> None:
    await here.create()
    reading, most, begun = 0, 0, []
    page = here.store.sessions.stored_page

    async def counted(query: SessionQuery) -> list[StoredSession]:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        begun.append(query.limit)
        found = await page(query)
        reading -= 1
        return found

    here.store.sessions.stored_page = counted  # type: ignore[method-assign]  # calls the real one, and counts
    await asyncio.gather(*(listed(here, limit=limit) for limit in range(1, 7)))
    assert (most, begun) == (2, [1, 2, 3, 4, 5, 6])


async def test_a_list_whose_turn_does_not_come_in_time_is_refused(here: MemoryGateway) -> None:
    listing = Listing(here.parts.pages, here.store, None, longest_wait=2.0)
    async with listing.turn("c", 1), listing.turn("c", 1):
        with pytest.raises(Overloaded):
            async with listing.turn("c", 1):
                pass
    async with listing.turn("c", 1):
        assert len((await listing.find(SessionQuery(limit=1), None)).sessions) == 0


class Known:
    """An index that knows these sessions; None if it cannot tell."""

    def __init__(self, ids: list[str] | None) -> None:
        self.ids = ids

    async def ordered_page(self, query: SessionQuery) -> list[str] | None:
        return self.ids if self.ids is None else self.ids[: query.limit]


async def test_with_an_index_only_the_sessions_of_the_page_are_read(join: StartMemory) -> None:
    alone = join(alone=True)
    for number in range(4):
        await alone.create(f"s{number}")
    index = Known(["s3", "s1"])
    listed_by_it = pages.Pages(alone.parts.context, alone.parts.sessions, index)
    found = await listed_by_it.list_sessions(SessionQuery(limit=2), itself)
    assert [each.session_id for each in found] == ["s3", "s1"]
    index.ids = None
    found = await listed_by_it.list_sessions(SessionQuery(limit=3), itself)
    assert [each.session_id for each in found] == ["s3", "s2", "s1"]


async def test_a_page_has_no_gap_where_its_index_has_a_session_that_was_erased(join: StartMemory) -> None:
    alone = join(alone=True)
    for number in range(3):
        await alone.create(f"s{number}")
    indexed = pages.Pages(alone.context, alone.sessions, Known(["s2", "gone", "s1"]))
    query = SessionQuery(limit=3)
    assert [each.session_id for each in await indexed.list_sessions(query, itself)] == ["s2", "s1", "s0"]


async def test_large_sessions_are_read_one_or_two_at_a_time(join: StartMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = join(alone=True)
    for number in range(12):
        live = await alone.create(f"s{number:02}")
        live.state.record.metadata = {"text": "x" * 40_000}
        await alone.store.sessions.amend(live.state.record, live.state.record.metadata, "en", STARTED)
    asked: list[int] = []
    find = Collection.find

    def counting(self: Collection, condition: Document, projection: object = None) -> Cursor:
        asked.append(len(condition["_id"]["$in"]))
        return find(self, condition, projection)

    monkeypatch.setattr(Collection, "find", counting)
    ids = [f"s{number:02}" for number in range(12)]
    assert [each.session_id for each in await alone.store.sessions.load_stored(ids)] == ids
    assert asked == [8, 1, 1, 1, 1]

"""Requests to sessions are answered with what the store knows, in time, and within bounds."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.in_memory import MemoryGateway, event, events, pass_time, send, until
from tests.support.memory_fixtures import StartMemory
from turnwire.protocol.errors import NoSuchSession, Overloaded, StorageUnavailable, TurnwireError


async def test_viewing_a_session_does_not_load_it_into_memory(here: MemoryGateway, there: MemoryGateway) -> None:
    await here.create("s", *events("a", "b"))
    view = await there.requests.view("s")
    assert (view.session.last_seq, view.session.status, view.time_ordered, there.live) == (2, "active", True, {})
    with pytest.raises(NoSuchSession):
        await there.requests.view("nobody")


async def test_events_acked_elsewhere_are_seen_even_while_a_superseded_publisher_is_connected_here(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live, elsewhere = await here.create("s", event("a")), await there.open()
    old = await here.claim(live)
    new = await there.claim(elsewhere)
    send(elsewhere, new, *events("b", "c"))
    await new.heard(2)
    assert (await here.requests.view("s")).session.last_seq == 3
    assert old.was_superseded
    assert live.state.record.last_seq == 3


async def test_creating_an_existing_session_shows_its_end_at_another_gateway(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    await here.create("s", event("a"))
    await there.end(await there.open(), "failed", "lost")
    session, created = await here.requests.create(session_id="s", language="de", metadata={}, status="initiated")
    assert (session.status, session.language, session.end_reason, created) == ("failed", "en", "lost", False)


async def test_concurrent_creations_make_one_session_that_all_clients_get(here: MemoryGateway) -> None:
    results = await asyncio.gather(
        *(
            here.requests.create(session_id="s", language=f"l{n}", metadata={"n": n}, status="initiated")
            for n in range(20)
        )
    )
    assert sum(created for _, created in results) == 1
    assert len({session.language for session, _ in results}) == 1


async def test_a_session_is_not_evicted_during_a_refresh(join: StartMemory) -> None:
    here, there = join(max_live_sessions=1), join()
    live = await here.create("s", event("a"))
    await here.parts.lazy_fields.flush()
    await there.append(await there.open(), event("b"))
    asking = asyncio.create_task(here.requests.bring_up_to_date(live))
    await asyncio.sleep(0)
    assert not here.sessions.evict(live)
    await asking
    assert (here.live["s"], live.state.record.last_seq) == (live, 2)


async def test_a_gateway_alone_needs_no_query_to_be_up_to_date(
    join: StartMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = join(alone=True)
    live = await alone.create("s", event("a"))

    async def load(session_id: str) -> None:
        raise AssertionError("the store is asked although there is nobody else")

    monkeypatch.setattr(alone.store.sessions, "load", load)
    await alone.requests.bring_up_to_date(live)
    assert (await alone.requests.view("s")).session.last_seq == 1


async def test_a_request_that_cannot_be_settled_in_time_is_unavailable_and_may_be_repeated(join: StartMemory) -> None:
    here = join(rest_timeout=2.0)
    live = await here.create()
    here.database.away = True
    began = asyncio.get_running_loop().time()
    answers = await asyncio.gather(
        here.append(live, event("a")),
        here.requests.complete("s", "completed", None),
        here.requests.append("other", [event("x")], 10),
        here.requests.create(session_id="new", language="en", metadata={}, status="initiated"),
        return_exceptions=True,
    )
    assert {type(answer) for answer in answers} == {StorageUnavailable}
    assert asyncio.get_running_loop().time() - began < 2.5
    here.database.away = False
    assert (await here.append(live, event("a")))[0].event.seq == 1
    assert (await here.requests.complete("s", "completed", None))[1]


async def test_requests_waiting_during_an_outage_are_bounded_and_dropped_when_their_clients_leave(
    join: StartMemory,
) -> None:
    here = join(alone=True, rest_timeout=1.0, max_waiting_bytes=1024 * 1024)
    live = await here.create()
    here.database.away = True
    weight = 200_000
    for kinds in ({Overloaded, StorageUnavailable}, {Overloaded}, {Overloaded}):
        answers = await asyncio.gather(
            *(here.requests.append("s", [event(f"e{n}")], weight) for n in range(40)), return_exceptions=True
        )
        assert {type(answer) for answer in answers} == kinds
        assert here.context.waiting.size <= 1024 * 1024 + weight
    here.database.away = False
    await until(lambda: here.context.waiting.size == 0)
    await here.append(live, event("last"))
    assert await here.log() == ["e0", "e1", "e2", "e3", "e4", "last"]  # one round was under way


async def test_one_session_gets_no_more_than_its_share_of_waiting_requests(here: MemoryGateway) -> None:
    live = await here.create()
    here.database.away = True
    appends = [
        asyncio.create_task(here.requests.append("s", [event(f"{n}-{each}") for each in range(500)], 10))
        for n in range(8)
    ]
    results = await asyncio.gather(*appends, return_exceptions=True)
    assert any(isinstance(result, Overloaded) for result in results)
    assert live.waiting_events <= 3000
    here.database.away = False


async def test_a_refused_session_fails_its_own_creation_alone(here: MemoryGateway) -> None:
    here.database.refuses = lambda document: document.get("language") == "xx"

    async def create(session_id: str, language: str) -> object:
        return await here.requests.create(session_id=session_id, language=language, metadata={}, status="initiated")

    results = await asyncio.gather(create("a", "en"), create("b", "xx"), create("c", "en"), return_exceptions=True)
    assert isinstance(results[1], TurnwireError)
    assert not results[1].retryable
    assert sorted(here.live) == ["a", "c"]
    await pass_time(1)
    with pytest.raises(NoSuchSession):
        await here.open("b")

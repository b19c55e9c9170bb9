"""Erasure: nothing of a session is left, whatever is cut short, and its successor is never mistaken for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tests.support.faults.database import MemoryDatabase
from tests.support.in_memory import Crowd, MemoryGateway, Seat, event, events, pass_time, send, shrink_pages, until
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.connections.outbox import FrameOutbox
from turnwire.gateway.rest.sse import SseFollower
from turnwire.gateway.watching.replays import Replays
from turnwire.gateway.watching.subscription import Watching
from turnwire.protocol.errors import (
    CloseCode,
    NoSuchSession,
    PublisherConnected,
    SessionErased,
    SessionTaken,
    StorageUnavailable,
)
from turnwire.store.sessions import SessionQuery

LATE = 121.0
"""Seconds after which nobody writes to an erased session any more."""


def left(database: MemoryDatabase) -> dict[str, list[str]]:
    """The keys of all documents there are, by collection."""
    return {name: sorted(documents) for name, documents in database.primary.items() if documents}


async def create(gateway: MemoryGateway, *ids: str) -> None:
    """A session "s" with these events."""
    await gateway.requests.create(session_id="s", language="en", metadata={"who": "Jane"}, status="initiated")
    if ids:
        await gateway.requests.append("s", events(*ids), 100)


async def test_an_erased_session_leaves_nothing_in_the_store_and_its_id_is_free(
    join: StartMemory, database: MemoryDatabase
) -> None:
    alone = join(alone=True)
    await create(alone, "a", "b")
    assert await alone.parts.erasing.erase("s", force=False)
    assert left(database) == {}
    assert alone.live == {}
    with pytest.raises(NoSuchSession):
        await alone.requests.view("s")
    assert not await alone.parts.erasing.erase("s", force=False)


async def test_a_new_session_of_the_id_remembers_nothing(join: StartMemory) -> None:
    alone = join(alone=True)
    await create(alone, "a", "b", "c")
    await alone.parts.erasing.erase("s", force=False)
    await create(alone)
    [stored] = await alone.requests.append("s", events("b"), 100)
    assert (stored.event.seq, stored.duplicate) == (1, False)


@pytest.mark.parametrize("crash", range(7))
async def test_a_session_left_half_erased_by_a_crash_is_hidden_and_removed_by_the_next_start(
    join: StartMemory, database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch, crash: int
) -> None:
    """Note, mark, events, digests, document, and the note again, which other gateways read for a while."""
    shrink_pages(monkeypatch, 2)
    dying, other = join(rest_timeout=2.0), join()
    await create(dying, "a", "b", "c")
    await dying.parts.lazy_fields.flush()
    assert database.primary["digests"]
    dying.line.cut_before(crash)
    with suppress(StorageUnavailable):
        await dying.parts.erasing.erase("s", force=False)
    marked = crash >= 2
    if not marked:
        assert len(await other.log()) == 3
        assert (await other.requests.view("s")).session.last_seq == 3
    else:
        with pytest.raises(NoSuchSession):
            await other.requests.view("s")
        assert await other.store.sessions.page(SessionQuery(limit=5)) == []
        assert await other.store.sessions.page(SessionQuery(limit=5, ascending=True)) == []
        assert await other.store.sessions.unended() == []
    started = join()
    await started.parts.erasing.tend()
    await pass_time(LATE)
    await started.parts.erasing.tend()
    assert left(database) == {} if marked else "erasures" not in left(database)
    if not marked:
        assert len(await started.log()) == 3


async def test_a_creation_waits_for_what_is_half_erased(join: StartMemory, database: MemoryDatabase) -> None:
    dying, other = join(rest_timeout=2.0), join()
    await create(dying, "a", "b")
    dying.line.cut_before(2)
    with pytest.raises(StorageUnavailable):
        await dying.parts.erasing.erase("s", force=False)
    await create(other, "b")
    assert await other.log() == ["b"]
    assert (await other.stored()).metadata == {"who": "Jane"}


async def test_a_session_that_is_published_is_erased_by_force_alone(join: StartMemory) -> None:
    alone = join(alone=True)
    await create(alone, "a")
    live = await alone.open()
    seat = await alone.claim(live)
    live.state.audience = crowd = Crowd()
    with pytest.raises(PublisherConnected):
        await alone.parts.erasing.erase("s", force=False)
    assert (seat.codes, crowd.was_erased, await alone.log()) == ([], False, ["a"])
    await alone.parts.erasing.erase("s", force=True)
    assert (seat.codes, crowd.was_erased) == ([CloseCode.NOT_FOUND], True)
    send(live, seat, event("late"))
    await create(alone)
    await pass_time(1)
    assert await alone.log() == []


async def test_a_publisher_at_another_gateway_is_seen_by_what_the_store_knows(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    await create(here)
    elsewhere = await there.open()
    seat = await there.claim(elsewhere)
    with pytest.raises(PublisherConnected):
        await here.parts.erasing.erase("s", force=False)
    elsewhere.release(seat)
    await until(lambda: elsewhere.state.record.holder is None)
    await pass_time(0.1)
    assert await here.parts.erasing.erase("s", force=False)


async def test_a_gateway_that_has_an_erased_session_in_memory_forgets_it_by_polling(
    join: StartMemory,
) -> None:
    here, there = join(), join(poll_interval=1.0)
    await create(here, "a")
    elsewhere = await there.open()
    elsewhere.state.audience = crowd = Crowd()
    seat = await there.claim(elsewhere)
    there.start()
    await here.parts.erasing.erase("s", force=True)
    await until(lambda: elsewhere.state.erased)
    assert (seat.codes, crowd.was_erased, there.live) == ([CloseCode.NOT_FOUND], True, {})


@pytest.mark.parametrize("known", [0, 2, 4, 9])
async def test_a_publisher_of_an_erased_session_writes_nothing_into_its_successor(
    here: MemoryGateway, there: MemoryGateway, known: int
) -> None:
    """Its gateway has heard of nothing, and stands before, at, or behind the head of the new one."""
    await create(here, *(f"old-{number}" for number in range(known)))
    elsewhere = await there.open()
    seat = await there.claim(elsewhere)
    await here.parts.erasing.erase("s", force=True)
    await create(here, "new-0", "new-1", "new-2", "new-3")
    send(elsewhere, seat, event("stray"))
    await pass_time(1)
    for number in range(4, 12):
        await here.requests.append("s", events(f"new-{number}"), 100)
    assert await here.log() == [f"new-{number}" for number in range(12)]
    assert (await here.requests.view("s")).session.last_seq == 12
    if known < 4:  # it met the new one's events
        assert seat.codes
    with pytest.raises(SessionErased):
        await there.requests.bring_up_to_date(elsewhere)
    assert await there.requests.append("s", events("new-12"), 100)


async def test_late_events_of_an_erased_session_are_removed(
    here: MemoryGateway, there: MemoryGateway, database: MemoryDatabase
) -> None:
    await create(here, "a")
    elsewhere = await there.open()
    seat = await there.claim(elsewhere)
    send(elsewhere, seat, event("b"))
    await seat.heard(1)
    await here.parts.erasing.erase("s", force=True)
    send(elsewhere, seat, *events("stray", "stray-2"))
    await seat.heard(3)
    assert left(database)["events"] == ["s/0000000003", "s/0000000004"]
    await pass_time(LATE)
    await here.parts.erasing.tend()
    assert left(database) == {}


@pytest.mark.parametrize("ask", ["append", "complete", "amend", "view", "create"])
async def test_a_request_to_another_gateway_after_an_erasure_means_the_new_session(
    here: MemoryGateway, there: MemoryGateway, ask: str
) -> None:
    await create(here, "old")
    await there.open()
    await here.parts.erasing.erase("s", force=False)
    await create(here, "new")
    requests = there.requests
    match ask:
        case "append":
            [stored] = await requests.append("s", events("next"), 100)
            assert stored.event.seq == 2
        case "complete":
            session, ended = await requests.complete("s", "completed", None)
            assert (ended, session.last_seq) == (True, 1)
        case "amend":
            assert (await requests.amend("s", {"x": 1}, None)).metadata == {"who": "Jane", "x": 1}
        case "view":
            assert (await requests.view("s")).session.last_seq == 1
        case "create":
            _, created = await requests.create(session_id="s", language="en", metadata={}, status="initiated")
            assert not created
    assert (await there.log())[:1] == ["new"]
    assert there.live["s"].state.record.life == here.live["s"].state.record.life if "s" in there.live else True


async def test_fields_and_pages_of_an_erased_session_are_not_written_to_its_successor(
    here: MemoryGateway, there: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_pages(monkeypatch, 2)
    await create(here)
    elsewhere = await there.open()
    seat = await there.claim(elsewhere)
    send(elsewhere, seat, *events("a", "b", "c"))
    await seat.heard(3)
    await here.parts.erasing.erase("s", force=True)
    await create(here, "new")
    await there.parts.lazy_fields.flush()
    await until(lambda: elsewhere.state.erased)
    await here.requests.append("s", events("b", "a"), 100)
    stored = await here.stored()
    assert (stored.last_seq, stored.epoch, stored.holder) == (0, 0, None)
    await here.parts.lazy_fields.flush()
    assert await here.log() == ["new", "b", "a"]


async def test_a_second_request_during_an_erasure_gets_the_same_answer(
    join: StartMemory, database: MemoryDatabase
) -> None:
    gateways = [join(), join()]
    await create(gateways[0], *(f"e{number}" for number in range(5)))
    erased = await asyncio.gather(*(each.parts.erasing.erase("s", force=False) for each in gateways * 3))
    assert any(erased)
    assert set(left(database)) <= {"erasures"}


async def test_a_takeover_by_somebody_else_is_refused_across_gateways(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    await create(here)
    live, elsewhere = await here.open(), await there.open()
    alice = await here.claim(live, Seat(holder="sub:alice"))
    with pytest.raises(SessionTaken):
        await there.claim(elsewhere, Seat(holder="sub:bob"))
    assert not alice.was_superseded
    again = await there.claim(elsewhere, Seat(holder="sub:alice"))
    assert again.replaced == "sub:alice"
    operator = await here.claim(live, Seat(holder="sub:ada", admin=True))
    assert operator.replaced == "sub:alice"
    live.release(operator)
    await until(lambda: live.state.record.holder is None)
    await pass_time(0.1)
    bob = await there.claim(elsewhere, Seat(holder="sub:bob"))
    assert bob.replaced is None


async def test_events_of_an_erased_session_that_wait_for_a_slow_reader_are_not_sent(join: StartMemory) -> None:
    alone = join(alone=True)
    await create(alone)
    read, reading = [], asyncio.Event()

    async def write(frame: bytes) -> None:
        read.append(frame)
        await reading.wait()

    outbox = FrameOutbox(write, None, 1 << 20)
    clock = asyncio.get_running_loop().time
    follower = SseFollower(Watching(Replays(alone.store.events), clock, lambda: None), alone.live["s"].state, 0, outbox)
    follower.start()
    await alone.requests.append("s", events("a", "b", "c"), 100)
    await until(lambda: bool(read))  # `caughtUp`, which is on its way
    await alone.parts.erasing.erase("s", force=False)
    reading.set()
    await outbox.flushed()
    await pass_time(0.1)
    assert [frame.partition(b"\n")[0] for frame in read] == [b"event: caughtUp", b"event: erased"]

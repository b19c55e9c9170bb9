"""A session's access to its log: what it has read, and what happens to events when others write at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.faults.database import MemoryDatabase
from tests.support.in_memory import STARTED, Crowd, MemoryGateway, event, events, record, send, shrink_pages, until
from turnwire.gateway.live.log import log_writer
from turnwire.gateway.live.log.contest import Contest
from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import LogHole, Overloaded
from turnwire.protocol.messages import EventIn
from turnwire.protocol.rules import Ledger
from turnwire.store.event_log import event_documents


async def store(gateway: MemoryGateway, first: int, *stored: EventIn) -> None:
    """Store events as another gateway does."""
    for each in stored:
        each.timestamp = each.timestamp or STARTED
    await gateway.store.events.append("s", event_documents("s", enumerate(stored, start=first)), 100)


async def state_at(gateway: MemoryGateway, **fields: Any) -> tuple[SessionState, Ledger]:
    state = SessionState(record(**fields), now=0.0)
    return state, await log_writer.load_ledger(gateway.store, state)


async def commit(gateway: MemoryGateway, state: SessionState, ledger: Ledger, sent: Sequence[EventIn]) -> Durable:
    for each in sent:
        each.timestamp = each.timestamp or STARTED
    assert ledger.admit_new(sent) is not None
    return await Contest(gateway.context, state).commit(ledger, 100, behind_head=False)


def brought(durable: Durable) -> list[tuple[int, str]]:
    return [(seq, each.event_id) for seq, each in durable.events]


async def test_a_loaded_ledger_knows_full_pages_by_digest_and_the_rest_by_id(
    here: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_pages(monkeypatch, 4)
    live = await here.create("s", *events(*(f"e{n}" for n in range(1, 11))))
    await here.parts.lazy_fields.flush()
    assert len(await here.store.events.digests.load("s", 10)) == 2
    state, ledger = await state_at(here, last_seq=10)
    assert (ledger.head, ledger.folded_pages) == (10, 2)
    assert [ledger.candidates(f"e{n}") for n in (1, 8, 9, 10)] == [[1], [8], [9], [10]]
    assert ledger.candidates("new") == []
    assert await log_writer.load_ledger(here.store, state) is ledger
    assert live.state.log.full_pages == []


async def test_others_have_a_turn_after_each_page_of_a_long_ledger(
    here: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_pages(monkeypatch, 4)
    await here.create("s", *events(*(f"e{n}" for n in range(1, 41))))
    await here.parts.lazy_fields.flush()
    add, told = Ledger.add_digests, list[str]()

    def counted(ledger: Ledger, packed: bytes) -> None:
        told.append("page")
        asyncio.get_running_loop().call_soon(told.append, "others")
        add(ledger, packed)

    monkeypatch.setattr(Ledger, "add_digests", counted)
    await state_at(here, last_seq=40)
    assert told == ["page", "others"] * 10


async def test_missing_digest_pages_are_rebuilt_from_the_log(
    here: MemoryGateway, database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_pages(monkeypatch, 4)
    await here.create("s", *events(*(f"e{n}" for n in range(1, 11))))
    await here.parts.lazy_fields.flush()
    for side in (database.primary, database.majority):
        del side["digests"]["s/0000000000"]  # without the first page the second is of no use
    state, ledger = await state_at(here, last_seq=10)
    assert ledger.head == 10
    assert [page for page, _, _ in state.log.full_pages] == [0, 1]


async def test_a_hole_in_the_log_is_an_error_when_it_is_read(here: MemoryGateway, database: MemoryDatabase) -> None:
    await here.create("s", *events("a", "b", "c"))
    for side in (database.primary, database.majority):
        del side["events"]["s/0000000002"]
    with pytest.raises(LogHole):
        await state_at(here, last_seq=3)


async def test_events_move_up_when_rest_at_another_gateway_took_their_position(here: MemoryGateway) -> None:
    await here.create("s")
    state, ledger = await state_at(here)
    await store(here, 1, *events("theirs", "b"))
    durable = await commit(here, state, ledger, events("a", "b", "c"))
    assert brought(durable) == [(1, "theirs"), (2, "b"), (3, "a"), (4, "c")]
    assert set(durable.foreign) == {"theirs", "b"}
    assert durable.record is not None
    assert await here.log() == ["theirs", "b", "a", "c"]


async def test_remaining_events_are_given_up_when_a_newer_publisher_took_their_position(here: MemoryGateway) -> None:
    await here.create("s")
    assert await here.store.sessions.claim(record())
    state, ledger = await state_at(here)
    await store(here, 1, event("theirs"))
    durable = await commit(here, state, ledger, events("a", "b"))
    assert durable.record is not None
    assert (brought(durable), durable.record.epoch) == ([(1, "theirs")], 1)
    assert list(ledger.pending()) == []
    assert await here.log() == ["theirs"]


@pytest.mark.parametrize("first", [True, False], ids=["first", "behind others"])
async def test_a_refused_event_is_left_out_and_the_others_are_stored(
    here: MemoryGateway, database: MemoryDatabase, first: bool
) -> None:
    database.refuses = lambda document: document.get("eventId") in ("poison", "worse")
    await here.create("s")
    state, ledger = await state_at(here)
    sent = events(*(("poison", "a", "b", "worse") if first else ("a", "poison", "worse", "b")))
    durable = await commit(here, state, ledger, sent)
    assert brought(durable) == [(1, "a"), (2, "b")]
    assert (set(durable.refused), durable.foreign) == ({"poison", "worse"}, {})
    assert await here.log() == ["a", "b"]


def fill(gateway: MemoryGateway, monkeypatch: pytest.MonkeyPatch, room: list[bool]) -> None:
    """Have the log say each time whether there is room for more."""

    def require_room(_: int) -> None:
        if not room.pop(0):
            raise Overloaded("full")

    monkeypatch.setattr(gateway.store.events, "_require_room", require_room)


async def test_events_for_which_there_was_no_room_are_not_stored_with_the_next_ones(
    here: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await here.create("s", event("a"))
    fill(here, monkeypatch, [False, True])
    with pytest.raises(Overloaded):
        await here.append(live, event("b", at=-1))
    [stored] = await here.append(live, event("c"))
    assert (stored.event.event_id, stored.event.seq) == ("c", 2)
    assert await here.log() == ["a", "c"]


async def test_events_found_before_there_was_no_room_are_shown_with_the_next_ones(
    here: MemoryGateway, there: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await here.create("s", event("a"))
    crowd = live.state.audience = Crowd()
    seat = await here.claim(live)
    await there.append(await there.open(), event("theirs"))
    fill(here, monkeypatch, [True, False, True, True])
    send(live, seat, event("b"))
    await until(lambda: bool(seat.codes))
    [stored] = await here.append(live, event("c"))
    assert (stored.event.event_id, stored.event.seq) == ("c", 3)
    assert [each.event_id for each in crowd.events] == ["theirs", "c"]


async def test_own_events_of_an_unanswered_insert_are_recognized(here: MemoryGateway) -> None:
    await here.create("s")
    state, ledger = await state_at(here)
    here.line.trouble = 0.6  # refused, answered too late, cut short, without majority, by the model's seed
    durable = Durable()
    for number in range(10):
        durable = await commit(here, state, ledger, [event(f"e{number}-{n}", {"n": n}, at=number) for n in range(3)])
        assert durable.foreign == {}
    here.line.trouble = 0.0
    assert durable.last[0] == 30
    assert await here.log() == [f"e{number}-{n}" for number in range(10) for n in range(3)]


async def test_the_flag_for_backward_times_is_stored_before_such_an_event(here: MemoryGateway) -> None:
    await here.create("s")
    state, ledger = await state_at(here)
    state.advance(await commit(here, state, ledger, [event("a", at=5), event("b", at=5)]), now=0.0)
    assert (await here.stored()).time_ordered
    held: list[bool] = []
    insert = here.store.events.append

    async def look_first(*arguments: Any, **options: Any) -> Any:
        held.append((await here.stored()).time_ordered)
        return await insert(*arguments, **options)

    here.store.events.append = look_first  # type: ignore[method-assign]
    await commit(here, state, ledger, [event("c", at=4)])
    assert held == [False]
    assert not state.record.time_ordered


async def test_a_taken_position_not_yet_on_a_majority_is_waited_for(
    here: MemoryGateway, database: MemoryDatabase
) -> None:
    await here.create("s")
    state, ledger = await state_at(here)
    [document] = event_documents("s", [(1, event("theirs", at=0))])
    database.primary["events"][document["_id"]] = document
    committing = asyncio.create_task(commit(here, state, ledger, events("a")))
    await asyncio.sleep(1.0)
    assert not committing.done()
    database.majority["events"][document["_id"]] = document
    assert brought(await committing) == [(1, "theirs"), (2, "a")]

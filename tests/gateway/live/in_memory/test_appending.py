"""Events are appended: stored, shown, answered, whoever sends them and whatever happens to the session meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.faults.database import MemoryDatabase
from tests.support.in_memory import (
    STARTED,
    Crowd,
    MemoryGateway,
    Seat,
    event,
    events,
    pass_time,
    send,
    shrink_pages,
    until,
)
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.live.items import AppendItem
from turnwire.protocol.errors import CloseCode, ErrorCode, InvalidEvent, SessionEnded, TurnwireError
from turnwire.protocol.messages import BadEvent

BAD = BadEvent("bad", ErrorCode.INVALID_EVENT, "no payload")


async def test_a_publisher_and_rest_at_once_make_one_log_in_the_order_they_came(here: MemoryGateway) -> None:
    live = await here.create()
    crowd = live.state.audience = Crowd()
    seat = await here.claim(live)
    send(live, seat, *events("a", "b"))
    stored = asyncio.create_task(here.append(live, *events("r1", "a")))
    await asyncio.sleep(0)
    send(live, seat, event("c"), BAD, event("r1"), event("b", {"changed": 1}))
    assert await seat.heard(6) == [1, 2, 4, None, 3, None]
    assert [(each.event.seq, each.duplicate) for each in await stored] == [(3, False), (1, True)]
    assert [each.event_id for each in crowd.events] == await here.log() == ["a", "b", "r1", "c"]
    assert seat.nacks == [("bad", "invalid_event"), ("b", "event_conflict")]


async def test_what_is_shown_is_in_the_log_by_then(here: MemoryGateway) -> None:
    live = await here.create()

    class Reader(Crowd):
        def advanced(self, shown: object) -> None:
            kept.append(len(here.database.majority["events"]))

    kept: list[int] = []
    live.state.audience = Reader()
    for count in (1, 3):
        await here.append(live, *events(*(f"{count}-{n}" for n in range(count))))
    assert kept == [1, 4]


async def test_a_publisher_superseded_elsewhere_in_mid_round_gets_no_answer_and_rest_does(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live = await here.create()
    crowd = live.state.audience = Crowd()
    old = await here.claim(live)
    elsewhere = await there.open()
    new = await there.claim(elsewhere)
    send(elsewhere, new, *events("n1", "n2"))
    await new.heard(2)
    send(live, old, *events("o1", "o2"))
    stored = await here.append(live, *events("r1", "n2"))
    assert (old.answers, old.was_superseded, live.state.publisher) == ([], True, None)
    assert [(each.event.seq, each.duplicate) for each in stored] == [(3, False), (2, True)]
    assert await here.log() == ["n1", "n2", "r1"]
    assert [each.event_id for each in crowd.events] == ["n1", "n2", "r1"]
    assert (live.state.record.epoch, len(here.heard("taken_over"))) == (2, 1)


async def test_a_replay_elsewhere_is_answered_as_such(here: MemoryGateway, there: MemoryGateway) -> None:
    live, elsewhere = await here.create(), await there.open()
    first = await here.append(live, event("a", {"n": 1}), event("b"))
    again = await there.append(elsewhere, event("a", {"n": 1}), event("new"))
    assert [(each.event, each.duplicate) for each in again[:1]] == [(first[0].event, True)]
    assert (again[1].event.seq, again[1].duplicate) == (3, False)


async def test_a_refused_event_spoils_its_own_answer_alone(here: MemoryGateway, database: MemoryDatabase) -> None:
    database.refuses = lambda document: document.get("eventId") == "poison"
    live, other = await here.create(), await here.create("other")
    seat = await here.claim(live)
    send(live, seat, *events("a", "poison", "b"))
    results = await asyncio.gather(
        here.append(live, *events("r", "poison")),
        here.append(live, event("c")),
        here.append(other, event("d")),
        return_exceptions=True,
    )
    assert await seat.heard(3) == [1, None, 2]
    assert (seat.duplicates, seat.nacks) == ([], [("poison", "invalid_event")])
    assert isinstance(results[0], TurnwireError)
    assert results[0].code == ErrorCode.INVALID_EVENT
    assert not [result for result in results[1:] if isinstance(result, BaseException)]
    assert await here.log() == ["a", "b", "r", "c"]


async def test_a_rest_client_that_has_left_before_its_round_stores_nothing(here: MemoryGateway) -> None:
    live = await here.create()
    left: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    live.submit(AppendItem(events("x"), 10, STARTED, done=left))  # type: ignore[arg-type]
    left.cancel()
    await here.append(live, event("a"))
    assert await here.log() == ["a"]
    assert here.context.waiting.size == 0


async def test_in_the_time_of_grace_events_are_taken_and_then_only_replays(join: StartMemory) -> None:
    here = join(end_grace=5.0)
    live = await here.create("s", event("a"))
    await here.end(live)
    await here.append(live, event("b"))
    await pass_time(5.1)
    with pytest.raises(SessionEnded):
        await here.append(live, *events("a", "c"))
    assert [each.duplicate for each in await here.append(live, *events("a", "b"))] == [True, True]
    assert await here.log() == ["a", "b"]
    assert live.state.record.status == "completed"


async def test_after_an_end_elsewhere_and_its_grace_nothing_new_is_stored(join: StartMemory) -> None:
    here, there = join(end_grace=5.0), join(end_grace=5.0)
    live, elsewhere = await here.create("s", event("a")), await there.open()
    seat = await here.claim(live)
    await there.end(elsewhere)
    await pass_time(5.1)
    send(live, seat, event("late"))
    assert await seat.heard(1) == [None]
    assert (seat.nacks, seat.codes) == ([("late", "session_ended")], [CloseCode.SESSION_ENDED])
    assert await here.log() == ["a"]


async def test_full_pages_of_a_round_are_due_to_be_written(
    here: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_pages(monkeypatch, 4)
    live = await here.create("s", *events(*(f"e{n}" for n in range(9))))
    assert [page for page, _, _ in live.state.log.full_pages] == [0, 1]
    assert live.state in here.parts.lazy_fields
    await here.parts.lazy_fields.flush()
    assert live.state.log.full_pages == []
    again = await here.append(live, event("e2"), event("e9"))
    assert [(each.event.seq, each.duplicate) for each in again] == [(3, True), (10, False)]


async def test_a_storage_that_comes_and_goes_delays_answers_and_loses_nothing(here: MemoryGateway) -> None:
    live = await here.create()
    seat = await here.claim(live)
    here.line.trouble = 0.4
    for number in range(40):
        send(live, seat, *events(f"e{number}", f"f{number}"))
        await pass_time(0.01)
    await until(lambda: len(seat.answers) == 80)
    here.line.trouble = 0.0
    assert seat.seqs == list(range(1, 81))
    assert seat.duplicates == []
    assert await here.log() == [answer.event_id for answer in seat.answers]


async def test_an_answer_names_the_error_of_what_was_malformed(here: MemoryGateway) -> None:
    live = await here.create()
    done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    live.submit(AppendItem([event("a"), BAD], 10, STARTED, done=done))  # type: ignore[arg-type]
    with pytest.raises(TurnwireError, match="no payload") as refusal:
        await done
    assert refusal.value.code == InvalidEvent("").code


async def test_the_observer_hears_of_duplicates_refusals_and_the_time_to_the_ack(here: MemoryGateway) -> None:
    live = await here.create("s", event("a"))
    seat = await here.claim(live)
    here.told.clear()
    send(live, seat, event("a"), event("b"), BAD)
    await seat.heard(3)
    [(duplicates, refused, seconds)] = here.heard("round_answered")
    assert (duplicates, refused, seconds > 0) == (1, ["invalid_event"], True)
    assert isinstance(seat, Seat)

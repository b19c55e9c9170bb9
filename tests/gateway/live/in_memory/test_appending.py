"""Appending: events are stored, shown and answered, whoever sends them and whatever happens meanwhile."""

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
from turnwire.protocol.errors import CloseCode, ErrorCode, MalformedEvent, SessionHasEnded, TurnwireError
from turnwire.protocol.messages import BadEvent
from turnwire.store.session_record import SessionRecord

BAD = BadEvent("bad", ErrorCode.INVALID_EVENT, "no payload")


async def test_appends_by_publisher_and_rest_are_stored_in_one_log_in_arrival_order(here: MemoryGateway) -> None:
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


async def test_an_event_is_in_the_log_before_it_is_shown(here: MemoryGateway) -> None:
    live = await here.create()

    class Reader(Crowd):
        def advanced(self, shown: object, storing: object) -> None:
            kept.append(len(here.database.majority["events"]))

    kept: list[int] = []
    live.state.audience = Reader()
    for count in (1, 3):
        await here.append(live, *events(*(f"{count}-{n}" for n in range(count))))
    assert kept == [1, 4]


async def test_an_ack_does_not_wait_for_those_who_watch(here: MemoryGateway) -> None:
    live = await here.create()
    seat = await here.claim(live)

    class Slow(Crowd):
        def advanced(self, shown: object, storing: object) -> None:
            acked.append(list(seat.seqs))

    acked: list[list[int | None]] = []
    live.state.audience = Slow()
    send(live, seat, event("a"))
    await seat.heard(1)
    send(live, seat, event("b"), event("a"))
    await seat.heard(3)
    assert acked == [[1], [1, 2, 1]]


async def test_a_publisher_superseded_elsewhere_during_a_round_gets_no_answer_and_rest_does(
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


async def test_an_event_stored_by_another_gateway_is_answered_as_a_duplicate(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live, elsewhere = await here.create(), await there.open()
    first = await here.append(live, event("a", {"n": 1}), event("b"))
    again = await there.append(elsewhere, event("a", {"n": 1}), event("new"))
    assert [(each.event, each.duplicate) for each in again[:1]] == [(first[0].event, True)]
    assert (again[1].event.seq, again[1].duplicate) == (3, False)


async def test_a_condition_is_asked_about_the_log_that_precedes_the_events(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live = await here.create("s", event("a"))
    elsewhere = await there.open()
    asked: list[int] = []

    async def condition(known: SessionRecord) -> None:
        asked.append(known.last_seq)
        if len(asked) < 3:  # they are stored while it is being answered
            await there.append(elsewhere, *events(f"b{len(asked)}", f"c{len(asked)}"))
        if known.last_seq > 5:
            raise SessionHasEnded("s", None)

    stored = await here.requests.append("s", events("d", "e"), 10, condition)
    assert (asked, [each.event.seq for each in stored]) == ([1, 3, 5], [6, 7])
    with pytest.raises(SessionHasEnded):
        await here.requests.append("s", [event("f")], 10, condition)
    assert live.state.record.last_seq == 7
    assert await here.log() == ["a", "b1", "c1", "b2", "c2", "d", "e"]


async def test_a_refused_event_fails_only_its_own_answer(here: MemoryGateway, database: MemoryDatabase) -> None:
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


async def test_a_rest_client_that_left_before_its_round_stores_nothing(here: MemoryGateway) -> None:
    live = await here.create()
    left: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    live.submit(AppendItem(events("x"), 10, STARTED, done=left))  # type: ignore[arg-type]
    left.cancel()
    await here.append(live, event("a"))
    assert await here.log() == ["a"]
    assert here.context.waiting.size == 0


async def test_new_events_are_accepted_in_the_grace_time_and_afterwards_only_duplicates(join: StartMemory) -> None:
    here = join(end_grace=5.0)
    live = await here.create("s", event("a"))
    await here.end(live)
    await here.append(live, event("b"))
    await pass_time(5.1)
    with pytest.raises(SessionHasEnded):
        await here.append(live, *events("a", "c"))
    assert [each.duplicate for each in await here.append(live, *events("a", "b"))] == [True, True]
    assert await here.log() == ["a", "b"]
    assert live.state.record.status == "completed"


async def test_after_an_end_elsewhere_and_its_grace_time_no_new_event_is_stored(join: StartMemory) -> None:
    here, there = join(end_grace=5.0), join(end_grace=5.0)
    live, elsewhere = await here.create("s", event("a")), await there.open()
    seat = await here.claim(live)
    await there.end(elsewhere)
    await pass_time(5.1)
    send(live, seat, event("late"))
    assert await seat.heard(1) == [None]
    assert (seat.nacks, seat.codes) == ([("late", "session_ended")], [CloseCode.SESSION_ENDED])
    assert await here.log() == ["a"]


async def test_full_digest_pages_of_a_round_become_due_for_writing(
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


async def test_an_intermittent_storage_delays_answers_and_loses_nothing(here: MemoryGateway) -> None:
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


async def test_the_answer_to_a_malformed_event_names_its_error(here: MemoryGateway) -> None:
    live = await here.create()
    done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    live.submit(AppendItem([event("a"), BAD], 10, STARTED, done=done))  # type: ignore[arg-type]
    with pytest.raises(TurnwireError, match="no payload") as refusal:
        await done
    assert refusal.value.code == MalformedEvent("").code


async def test_the_observer_is_told_of_duplicates_refusals_and_the_time_to_the_ack(here: MemoryGateway) -> None:
    live = await here.create("s", event("a"))
    seat = await here.claim(live)
    here.told.clear()
    send(live, seat, event("a"), event("b"), BAD)
    await seat.heard(3)
    [(duplicates, refused, seconds)] = here.heard("round_answered")
    assert (duplicates, refused, seconds > 0) == (1, ["invalid_event"], True)
    assert isinstance(seat, Seat)

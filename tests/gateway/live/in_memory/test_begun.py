"""Appends without a task: a session of which everything is known sends them on at once, and sees to the rest later."""

from __future__ import annotations

import pytest

from tests.support.in_memory import Crowd, MemoryGateway, Seat, event, events, pass_time, send, until
from turnwire.gateway.live import appending
from turnwire.gateway.live.items import SignalItem
from turnwire.gateway.live.live_session import LiveSession
from turnwire.protocol.errors import CloseCode, ErrorCode, Overloaded
from turnwire.protocol.messages import BadEvent, EventIn

BAD = BadEvent("bad", ErrorCode.INVALID_EVENT, "no payload")


async def ready(here: MemoryGateway) -> tuple[LiveSession, Seat]:
    """Return a session with one event, and its publisher. Its task is at rest."""
    live = await here.create("s", event("a", at=0))
    seat = await here.claim(live)
    await until(lambda: not live._task.running)
    return live, seat


def is_begun(live: LiveSession) -> bool:
    return live._begun is not None and not live._task.running


async def test_a_plain_append_is_sent_and_answered_without_a_task(here: MemoryGateway) -> None:
    live, seat = await ready(here)
    crowd = live.state.audience = Crowd()
    send(live, seat, *events("b", "c"))
    assert is_begun(live)
    assert not live.idle
    assert await seat.heard(2) == [2, 3]
    assert [each.event_id for each in crowd.events] == ["b", "c"]
    assert (is_begun(live), live._task.running, live.state.busy_since) == (False, False, None)
    assert here.context.waiting.size == 0


async def test_what_comes_meanwhile_waits_its_turn(here: MemoryGateway) -> None:
    live, seat = await ready(here)
    crowd = live.state.audience = Crowd()
    send(live, seat, event("b"))
    live.submit(SignalItem(seat, "typing", {}))
    send(live, seat, event("b"), BAD, event("c"))
    assert is_begun(live)
    assert await seat.heard(4) == [2, 2, None, 3]
    assert (crowd.signals, seat.duplicates) == (["typing"], ["b"])
    assert await here.log() == ["a", "b", "c"]


@pytest.mark.parametrize("other", [event("a", at=0), BAD, event("earlier", at=-1000)])
async def test_events_that_are_not_plain_and_new_take_a_task(here: MemoryGateway, other: EventIn | BadEvent) -> None:
    live, seat = await ready(here)
    send(live, seat, event("b"), other)
    assert not is_begun(live)
    assert (await seat.heard(2))[0] == 2
    send(live, seat, event("c"))
    assert is_begun(live)
    await seat.heard(3)


async def test_an_append_for_which_there_is_no_room_takes_a_task_which_refuses_it(
    here: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, seat = await ready(here)

    def full(_: int) -> None:
        raise Overloaded("full")

    with monkeypatch.context() as patch:
        patch.setattr(here.store.events, "_require_room", full)
        send(live, seat, event("b"))
        assert not is_begun(live)
        await until(lambda: bool(seat.codes))
    assert seat.codes == [CloseCode.TRY_LATER]
    assert [each.event.seq for each in await here.append(live, event("b"))] == [2]


async def test_if_another_gateway_takes_the_position_the_task_sees_to_it(
    here: MemoryGateway, there: MemoryGateway
) -> None:
    live, seat = await ready(here)
    theirs = await there.open()
    await there.append(theirs, event("theirs"))
    send(live, seat, event("b"))
    assert is_begun(live)
    assert await seat.heard(1) == [3]
    assert await here.log() == ["a", "theirs", "b"]
    assert here.context.waiting.size == 0


async def test_a_stop_answers_the_append_under_way_and_its_late_outcome_changes_nothing(here: MemoryGateway) -> None:
    live, seat = await ready(here)
    here.database.away = True
    send(live, seat, event("b"))
    assert is_begun(live)
    await live.stop()
    here.database.away = False
    await pass_time(30)
    assert (seat.codes, seat.seqs, live.state.record.last_seq) == ([CloseCode.TRY_LATER], [], 1)
    assert here.context.waiting.size == 0


async def test_a_session_that_was_stopped_sends_nothing_on(here: MemoryGateway) -> None:
    live, seat = await ready(here)
    await live.stop()
    send(live, seat, event("b"))
    assert not is_begun(live)
    await pass_time(1)
    assert await here.log() == ["a"]


@pytest.mark.parametrize("where", ["begin_plain", "advance"])
async def test_an_unexpected_error_fails_the_append_and_spares_the_next(
    here: MemoryGateway, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    live, seat = await ready(here)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("unforeseen")

    with monkeypatch.context() as patch:
        patch.setattr(appending, where, fail)
        send(live, seat, event("b"))
        await until(lambda: bool(seat.codes))
    assert seat.codes[-1] == CloseCode.INTERNAL
    assert here.context.waiting.size == 0
    assert [each.event.event_id for each in await here.append(live, event("c"))] == ["c"]

"""The one task of a session: it processes items in order and answers each, whatever fails."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.in_memory import (
    STARTED,
    Crowd,
    MemoryGateway,
    Seat,
    event,
    events,
    pass_time,
    send,
    until,
)
from turnwire.gateway.live.items import AppendItem, BeatItem, EndItem, RenewItem, SignalItem, Stored
from turnwire.protocol.errors import CloseCode, ErrorCode, Overloaded, StorageUnavailable, TurnwireError


async def test_a_session_processes_its_items_in_order(here: MemoryGateway) -> None:
    live = await here.create()
    crowd = live.state.audience = Crowd()
    seat = await here.claim(live)
    send(live, seat, event("a"))
    live.submit(SignalItem(seat, "typing", {}))
    live.submit(EndItem("completed", None, publisher=seat))
    send(live, seat, event("late"))
    await until(lambda: bool(seat.ended))
    await pass_time(1)
    assert (seat.seqs, crowd.signals) == ([1], ["typing"])
    assert await here.log() == ["a"]


async def test_signals_reach_the_audience_unless_their_sender_is_fenced(here: MemoryGateway) -> None:
    live = await here.create()
    old = await here.claim(live)
    new = await here.claim(live)
    live.submit(SignalItem(new, "unseen", {}))
    await pass_time(0.1)
    crowd = live.state.audience = Crowd()
    for seat, key in ((old, "old"), (new, "new")):
        live.submit(SignalItem(seat, key, {}))
    await pass_time(0.1)
    assert crowd.signals == ["new"]


async def test_an_unexpected_error_fails_its_item_closes_the_publisher_and_spares_the_next_item(
    here: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await here.create("s", event("a"))
    seat = await here.claim(live)
    with monkeypatch.context() as patch:

        async def fail(*arguments: object, **options: object) -> None:
            raise RuntimeError("unforeseen")

        patch.setattr(here.store.events, "append", fail)
        with pytest.raises(TurnwireError) as refusal:
            await here.append(live, event("b"))
    assert refusal.value.code == ErrorCode.INTERNAL
    assert seat.codes == [CloseCode.INTERNAL]
    assert [(each.event.seq, each.duplicate) for each in await here.append(live, *events("b", "a"))] == [
        (2, False),
        (1, True),
    ]
    assert here.context.waiting.size == 0


async def test_stopping_a_session_fails_its_waiting_items_and_forgets_their_weight(here: MemoryGateway) -> None:
    live = await here.create()
    here.database.away = True
    appends = [
        AppendItem(events(f"e{n}"), 1000, STARTED, done=asyncio.get_running_loop().create_future()) for n in range(3)
    ]
    renewal = RenewItem(asyncio.get_running_loop().create_future())
    live.submit(appends[0])
    live.submit(renewal)
    for append in appends[1:]:
        live.submit(append)
    await until(lambda: live.state.busy_since is not None)
    assert here.context.waiting.size == 3000
    await live.stop()
    answers: list[asyncio.Future[list[Stored]] | asyncio.Future[None] | None] = [renewal.done]
    answers += [append.done for append in appends]
    for done in answers:
        assert done is not None
        assert isinstance(done.exception(), StorageUnavailable)
    assert here.context.waiting.size == 0


async def test_requests_beyond_a_sessions_bound_are_refused_at_once(here: MemoryGateway) -> None:
    live = await here.create()
    here.database.away = True
    waiting = [RenewItem(asyncio.get_running_loop().create_future()) for _ in range(257)]
    live.submit(waiting[0])
    await until(lambda: live.state.busy_since is not None)
    for item in waiting[1:]:
        live.submit(item)
    with pytest.raises(Overloaded):
        live.submit(RenewItem())
    send(live, Seat(0), event("a"))
    here.database.away = False
    for item in waiting:
        assert item.done is not None
        await item.done


async def test_a_session_is_idle_when_nothing_needs_it_in_memory(here: MemoryGateway) -> None:
    live = await here.create()
    assert live.idle
    with live.held():
        assert not live.idle
    live.state.audience = Crowd()
    assert not live.idle
    live.state.audience = None
    seat = await here.claim(live)
    await until(lambda: not live._task.running)
    assert not live.idle
    live.release(seat)
    assert not live.idle  # deserted: the session may have to be abandoned
    await here.end(live)
    await until(lambda: not live._task.running)
    await here.parts.lazy_fields.flush()
    assert live.idle
    live.submit(BeatItem())
    assert not live.idle


async def test_the_leaving_of_an_old_publisher_does_not_remove_its_successor(here: MemoryGateway) -> None:
    live = await here.create()
    old = await here.claim(live)
    new = await here.claim(live)
    live.release(old)
    assert live.state.publisher is new
    live.release(new)
    assert live.state.publisher is None

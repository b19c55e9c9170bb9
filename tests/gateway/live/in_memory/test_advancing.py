"""The head of a log moves, and everyone who watches is told in the same step."""

from __future__ import annotations

from tests.support.in_memory import Crowd, MemoryGateway, Seat, event
from turnwire.gateway.live.advancing import advance, fence
from turnwire.gateway.live.log.durable import Durable

TWO = [(1, event("a", at=1)), (2, event("b", at=2))]


async def test_the_audience_gets_events_after_the_head_has_moved(here: MemoryGateway) -> None:
    state = (await here.create()).state
    heads: list[int] = []

    class Watcher(Crowd):
        def advanced(self, shown: object, storing: object) -> None:
            heads.append(state.record.last_seq)

    state.audience = Watcher()
    shaped = advance(here.context, state, Durable(list(TWO)))
    assert heads == [2]
    assert [(each.seq, each.event_id, each.session_id) for each in shaped] == [(1, "a", "s"), (2, "b", "s")]


async def test_events_are_built_only_if_someone_needs_them(here: MemoryGateway) -> None:
    state = (await here.create()).state
    assert advance(here.context, state, Durable(TWO[:1])) == []
    assert len(advance(here.context, state, Durable(TWO[1:]), needed=True)) == 1


async def test_an_empty_advance_tells_no_one(here: MemoryGateway) -> None:
    state = (await here.create()).state
    crowd = state.audience = Crowd()
    here.told.clear()
    assert advance(here.context, state, Durable(), needed=True) == []
    assert (here.told, crowd.changes) == ([], 0)


async def test_the_first_event_changes_a_sessions_status_and_the_second_does_not(here: MemoryGateway) -> None:
    state = (await here.create()).state
    crowd = state.audience = Crowd()
    for event_ in TWO:
        advance(here.context, state, Durable([event_]))
    assert crowd.changes == 1
    assert [before for _, before in here.heard("changed")] == ["initiated", "active"]


async def test_a_fence_closes_the_publisher_connected_here(here: MemoryGateway) -> None:
    state, seat = (await here.create()).state, Seat(1)
    state.publisher = seat
    fence(here.context, state, 2)
    fence(here.context, state, 3)
    assert (seat.was_superseded, state.record.epoch, len(here.heard("taken_over"))) == (True, 3, 1)

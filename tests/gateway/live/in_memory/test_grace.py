"""The grace time: measured from the end, by every gateway that learns of it, and over at once when it has passed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.in_memory import Crowd, MemoryGateway, event, pass_time, record, virtual_now
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.live.grace import adopt_end, begin_grace, forget_timer
from turnwire.gateway.live.state import SessionState


@pytest.mark.parametrize(("passed", "left"), [(0, 10), (4, 6), (-3600, 10), (10, 0), (99, 0)])
async def test_the_rest_of_the_grace_time_counts_from_the_end_and_never_exceeds_the_whole(
    passed: int, left: int
) -> None:
    await pass_time(100)
    state = SessionState(record(status="completed"), now=0.0)
    begin_grace(state, virtual_now() - timedelta(seconds=passed), 10)
    assert state.takes_events is bool(left)
    if left:
        await pass_time(left - 0.1)
        assert state.takes_events
        await pass_time(0.2)
        assert not state.takes_events


async def test_a_forgotten_grace_timer_does_nothing() -> None:
    state = SessionState(record(status="completed"), now=0.0)
    begin_grace(state, virtual_now(), 5)
    forget_timer(state)
    await pass_time(6)
    assert state.takes_events


async def test_an_end_found_in_the_store_is_adopted_and_announced_once(here: MemoryGateway) -> None:
    live = await here.create("s", event("a"))
    crowd = live.state.audience = Crowd()
    stored = record(status="failed", ended_at=virtual_now(), end_reason="abandoned")
    for _ in range(2):
        adopt_end(here.context, live.state, stored)
    assert (live.state.record.status, live.state.record.end_reason, crowd.changes) == ("failed", "abandoned", 1)
    adopt_end(here.context, live.state, record(status="completed", ended_at=virtual_now()))
    assert live.state.record.status == "failed"


async def test_a_session_opened_after_its_end_has_the_rest_of_its_grace_time(join: StartMemory) -> None:
    here, there, late = join(end_grace=10.0), join(end_grace=10.0), join(end_grace=10.0)
    live = await here.create("s", event("a"))
    await here.end(live)
    await pass_time(6)
    elsewhere = await there.open()
    assert elsewhere.state.takes_events
    await pass_time(4.5)
    assert not elsewhere.state.takes_events
    assert not (await late.open()).state.takes_events

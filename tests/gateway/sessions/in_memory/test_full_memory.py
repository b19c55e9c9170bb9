"""A search for room in memory looks at few sessions, because any number of clients may ask for room."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import cast

import pytest

from tests.support.in_memory import MemoryGateway, pass_time
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.sessions import live_sessions
from turnwire.protocol.errors import Overloaded


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each session was asked whether it is idle, while a search for room ends after two sessions."""
    looks, is_idle = Counter[str](), cast("property", LiveSession.__dict__["idle"])

    def idle(live: LiveSession) -> bool:
        looks[live.session_id] += 1
        return bool(is_idle.__get__(live))

    monkeypatch.setattr(LiveSession, "idle", property(idle))
    monkeypatch.setattr(live_sessions, "MANY", 2)
    return looks


async def test_each_client_that_full_memory_refuses_has_a_few_sessions_looked_at_and_others_than_the_last(
    join: StartMemory, looks: Counter[str]
) -> None:
    here = join(max_live_sessions=8)
    lives = [await here.create(f"s{number}") for number in range(8)]
    with ExitStack() as held:
        for live in lives:
            held.enter_context(live.held())
        for calls in range(1, 5):
            with pytest.raises(Overloaded):
                await here.create("t")
            assert looks.total() == 2 * calls
    assert set(looks.values()) == {1}


async def test_full_memory_finds_every_session_that_was_idle_when_it_was_tended(
    join: StartMemory, looks: Counter[str]
) -> None:
    here = join(max_live_sessions=8, idle_evict=60.0)
    here.start()
    lives = [await here.create(f"s{number}") for number in range(8)]
    with ExitStack() as held:
        for live in lives[:6]:
            held.enter_context(live.held())
        await pass_time(10)
        assert list(here.sessions.idle) == ["s6", "s7"]
        held.enter_context(lives[6].held())
        looks.clear()
        await here.create("t")
        assert looks == {"s6": 1, "s7": 1}
        assert ("s7" in here.live, list(here.sessions.idle)) == (False, [])


async def test_whoever_counts_sessions_is_told_of_each_that_leaves_memory(here: MemoryGateway) -> None:
    left = list[str]()
    here.sessions.left = left.append
    evicted, erased, stays = [await here.create(name) for name in ("evicted", "erased", "stays")]
    assert here.sessions.evict(evicted)
    await here.parts.erasing.erase("erased", force=False)
    with stays.held():
        assert not here.sessions.evict(stays)
    here.sessions.remove(erased.state)
    assert left == ["evicted", "erased"]

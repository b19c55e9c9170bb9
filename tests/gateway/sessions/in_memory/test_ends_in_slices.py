"""What a gateway does with all its sessions at its end is done a few at a time: it still serves events meanwhile."""

from __future__ import annotations

from typing import cast

import pytest

from tests.support.in_memory import MemoryGateway
from tests.support.passes import Passes
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.live.log.known_log import KnownLog
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.sessions import live_sessions
from turnwire.gateway.sessions.log_tails import LogTails
from turnwire.gateway.turns import A_FEW

SESSIONS = 4 * A_FEW


class Log:
    """The log of a session. Notes each question about its length."""

    whole, as_of = True, 0

    def __init__(self, length: int, passes: Passes) -> None:
        self._length = length
        self._passes = passes

    @property
    def tail_length(self) -> int:
        self._passes.done()
        return self._length


class State:
    erased = ended = False
    busy_since: float | None = None

    def __init__(self, number: int, passes: Passes) -> None:
        self.session_id = f"s{number}"
        self.log = cast("KnownLog", Log(number % 5, passes))
        self.record = self
        self.last_seq = 1000


class Live:
    """A session in memory that notes what is asked of it."""

    def __init__(self, number: int, passes: Passes) -> None:
        self.state = State(number, passes)
        self.stopped = False
        self._passes = passes

    @property
    def waiting_events(self) -> int:
        self._passes.done()
        return 0

    async def stop(self) -> None:
        self._passes.done()
        self.stopped = True


@pytest.fixture
def passes() -> Passes:
    return Passes()


@pytest.fixture
def lives(here: MemoryGateway, passes: Passes) -> list[Live]:
    lives = [Live(number, passes) for number in range(SESSIONS)]
    here.sessions.live.update({each.state.session_id: cast("LiveSession", each) for each in lives})
    return lives


async def test_all_sessions_are_stopped_a_few_at_a_time(here: MemoryGateway, lives: list[Live], passes: Passes) -> None:
    with passes:
        await here.sessions.stop()
    assert all(each.stopped for each in lives)
    assert passes.most <= A_FEW
    here.sessions.live.clear()


async def test_work_is_looked_for_in_some_sessions_at_a_time(
    here: MemoryGateway, lives: list[Live], passes: Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_sessions, "MANY", A_FEW)
    with passes:
        assert not await here.sessions.at_work()
        lives[-1].state.busy_since = 1.0
        assert await here.sessions.at_work()
    assert passes.work.total() == 2 * SESSIONS
    assert passes.most <= A_FEW
    here.sessions.live.clear()


async def test_tails_are_looked_for_a_few_at_a_time_and_the_longest_are_stored_first(
    here: MemoryGateway, lives: list[Live], passes: Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[SessionState] = []

    async def keep(states: list[SessionState]) -> None:
        stored.extend(states)

    monkeypatch.setattr("turnwire.gateway.sessions.log_tails.MIN_TAIL", 2)
    tails = LogTails(here.store, here.sessions)
    monkeypatch.setattr(tails, "_save", keep)
    with passes:
        await tails.save(60.0)
    assert passes.most <= 2 * A_FEW, "each session is asked twice"
    lengths = [state.log.tail_length for state in stored]
    assert lengths == sorted((number % 5 for number in range(SESSIONS) if number % 5 >= 2), reverse=True)
    here.sessions.live.clear()

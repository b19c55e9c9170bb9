"""What concerns all sessions is done a few at a time when the bus fails, a gateway leaves or the database is polled."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support.passes import Passes
from turnwire.gateway.peers import poller
from turnwire.gateway.peers.letters import SignalNews
from turnwire.gateway.peers.news import News
from turnwire.gateway.peers.poller import Poller
from turnwire.gateway.turns import SLICE_SECONDS, Turns

SECONDS = SLICE_SECONDS / 20


class State:
    """A session in memory that has a bot at another gateway, and notes each look at it."""

    publisher: object = None
    audience: Any = None

    def __init__(self, number: int, passes: Passes) -> None:
        self.session_id = f"s{number}"
        self.record = SimpleNamespace(epoch=1)
        self.head = None
        self.said: list[str] = []
        self._passes = passes

    def hush(self) -> None:
        self._passes.done(SECONDS)
        self.said.clear()

    def signalled(self, _key: str, payload: dict[str, str], _epoch: int) -> None:
        self.said.append(payload["text"])


class Audience:
    def signalled(self, _key: str, _payload: object) -> None:
        """Show it to nobody."""


def sessions(states: list[State]) -> Any:
    return SimpleNamespace(live={each.session_id: SimpleNamespace(state=each, record=each.record) for each in states})


async def test_what_bots_elsewhere_were_saying_is_forgotten_a_slice_at_a_time_but_nothing_that_is_said_later() -> None:
    passes = Passes()
    states = [State(number, passes) for number in range(200)]
    for each in states:
        each.said, each.audience = ["I wou"], Audience()
    parts = dict.fromkeys(("post", "readers", "announcer", "catch_up", "poller", "feed", "erased"))
    news = News(sessions=sessions(states), turns=Turns(passes.clock), **cast("dict[str, Any]", parts))
    with passes:
        news.hush()
        await asyncio.sleep(0)
        assert len(states[0].said) == 1
        news._signalled(SignalNews("s0", 1, "user", {"text": "Hello"}))
        while any(each.said == ["I wou"] for each in states):
            await asyncio.sleep(0)
    await news.stop()
    assert [each.session_id for each in states if each.said] == ["s0"]
    assert states[0].said == ["Hello"]
    assert passes.work.total() == 200
    assert passes.most <= SLICE_SECONDS / SECONDS + 2


class Published(State):
    @property
    def publisher(self) -> object:  # type: ignore[override]  # the look is what is counted
        self._passes.done()
        return self if int(self.session_id[1:]) % 3 == 0 else None


async def test_a_poll_looks_at_a_few_sessions_at_a_time_and_at_each_published_one_in_ten_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(poller, "READ_WINDOW", 4)
    passes, read = Passes(), list[str]()

    async def load_all(session_ids: list[str]) -> list[object]:
        read.extend(session_ids)
        return []

    store: Any = SimpleNamespace(events=SimpleNamespace(troubles=0), sessions=SimpleNamespace(load_all=load_all))
    lives = sessions([Published(number, passes) for number in range(300)])
    for session_id, live in lives.live.items():
        live.session_id, live.state.record.last_seq = session_id, 1
    poll = Poller(
        store, lives, (), cast("Any", None), cast("Any", None), interval=1.0, is_told=bool, erased=lambda _: None
    )
    with passes:
        for number in range(10):
            poll._round = number
            await poll.look_at_sessions()
    assert sorted(read) == sorted(f"s{number}" for number in range(0, 300, 3))
    assert passes.work.total() == 300
    assert passes.most <= 4

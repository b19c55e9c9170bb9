"""A tick with very many changes and dashboards is done in slices, between which others have their turn."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from tests.support.passes import Passes
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.peers import feed_news
from turnwire.gateway.peers.feed_news import FeedNews
from turnwire.gateway.peers.letters import SessionNews
from turnwire.gateway.peers.post import Post
from turnwire.gateway.peers.readers import Readers
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.turns import SLICE_SECONDS, Turns
from turnwire.gateway.watching.feed import Change, Feed
from turnwire.protocol.codec import JSON
from turnwire.protocol.messages import Session, SessionStatus
from turnwire.store.event_log import EventLog
from turnwire.store.session_record import SessionRecord

STARTED = datetime(2025, 1, 1, tzinfo=UTC)
SECONDS = 20e-6
"""What an offer takes, and a push."""


class Dashboard:
    """A subscription of the feed."""

    def __init__(self, passes: Passes) -> None:
        self.frames: dict[str, bytes] = {}
        self.gone: list[str] = []
        self.pushes = 0
        self._passes = passes

    def offer(self, change: Change, statuses: set[SessionStatus]) -> None:
        self._passes.done(SECONDS)
        self.frames[change.session.session_id] = change.frame(JSON, "f", summarised=False)

    def erased(self, session_id: str) -> None:
        self._passes.done(SECONDS)
        self.gone.append(session_id)

    def push(self) -> None:
        self._passes.done(SECONDS)
        self.pushes += 1


def state(number: int) -> SessionState:
    return SessionState(SessionRecord(f"s{number}", "en", STARTED), 0.0)


def watched(passes: Passes, dashboards: int) -> tuple[Feed, list[Dashboard]]:
    feed = Feed(cast("EventLog", None), lambda _: None, Turns(passes.clock))
    boards = [Dashboard(passes) for _ in range(dashboards)]
    feed.subscriptions.update(boards)
    return feed, boards


async def test_many_changes_are_offered_to_many_dashboards_a_slice_at_a_time() -> None:
    passes = Passes()
    feed, boards = watched(passes, 20)
    states = [state(number) for number in range(100)]
    for each in states:
        feed.changed(each, "initiated")
    with passes:
        await feed.tick()
    assert passes.work.total() == 20 * (100 + 1)
    assert passes.most <= SLICE_SECONDS / SECONDS + 20 + 1
    assert {len(board.frames) for board in boards} == {100}
    for session_id, frame in boards[0].frames.items():
        assert all(board.frames[session_id] is frame for board in boards), "it is encoded once for all"


async def test_many_erasures_are_told_a_slice_at_a_time() -> None:
    passes = Passes()
    feed, boards = watched(passes, 10)
    for number in range(200):
        feed.erased(f"s{number}")
    with passes:
        await feed.tick()
    assert all(len(board.gone) == 200 for board in boards)
    assert passes.most <= SLICE_SECONDS / SECONDS + 10 + 1


async def test_an_erasure_looks_at_no_other_session_that_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = Passes()
    feed, boards = watched(passes, 1)
    for number in range(20):
        feed.changed(state(number), "initiated")

    def session_id(state: SessionState) -> str:
        passes.done()
        return state.record.session_id

    monkeypatch.setattr(SessionState, "session_id", property(session_id))
    feed.erased("s7")
    assert passes.work.total() == 0
    await feed.tick()
    assert "s7" not in boards[0].frames
    assert (len(boards[0].frames), boards[0].gone) == (19, ["s7"])


async def test_a_session_that_leaves_memory_and_comes_back_between_two_ticks_is_offered_once_as_it_is_now() -> None:
    offered: list[tuple[int, set[SessionStatus]]] = []

    class Listener(Dashboard):
        def offer(self, change: Change, statuses: set[SessionStatus]) -> None:
            offered.append((change.session.last_seq, statuses))

    passes = Passes()
    feed, _ = watched(passes, 0)
    feed.subscriptions.add(Listener(passes))
    feed.changed(state(1), "initiated")
    back = state(1)
    back.record.last_seq = 9
    feed.changed(back, "active")
    await feed.tick()
    assert offered == [(9, {"initiated", "active"})]


async def test_a_change_during_a_tick_is_reported_by_that_tick_or_the_next() -> None:
    passes = Passes()
    feed, boards = watched(passes, 10)
    states = [state(number) for number in range(200)]
    for each in states:
        feed.changed(each, "initiated")
    with passes:
        tick = asyncio.create_task(feed.tick())
        while len(boards[0].frames) < 20:
            await asyncio.sleep(0)
        assert len(boards[0].frames) < 150
        states[150].erased = True
        feed.erased("s150")
        states[0].record.last_seq = 7
        feed.changed(states[0], "initiated")
        left = boards.pop()
        feed.subscriptions.remove(left)
        await tick
        assert not any("s150" in board.frames or board.gone for board in boards)
        await feed.tick()
    for board in boards:
        assert board.gone == ["s150"]
        assert b'"lastSeq":7' in board.frames["s0"]
    assert len(left.frames) < 150


class NoSessions:
    """This gateway has none."""

    def __init__(self) -> None:
        self.live: dict[str, object] = {}


def reported(number: int, last_seq: int = 0) -> SessionNews:
    return SessionNews(
        Session(f"s{number}", "active", "en", "2025-01-01T00:00:00.000Z", None, {}, last_seq), ["active"]
    )


async def test_many_changes_at_other_gateways_are_offered_a_slice_at_a_time() -> None:
    passes = Passes()
    feed, boards = watched(passes, 20)
    news = FeedNews(feed, cast("LiveSessions", NoSessions()), cast("Post", None), cast("Readers", None))
    news.deliver([reported(number) for number in range(100)])
    news.deliver([reported(7, last_seq=5), reported(8, last_seq=5)])
    news.deliver([reported(8, last_seq=3)])  # older, come late
    news.deliver([reported(9)])
    with passes:
        while any(board.pushes == 0 for board in boards):
            await asyncio.sleep(0)
    await news.stop()
    assert passes.work.total() == 20 * (100 + 1), "each session once"
    assert passes.most <= SLICE_SECONDS / SECONDS + 20 + 1
    assert all(b'"lastSeq":5' in boards[0].frames[session_id] for session_id in ("s7", "s8"))


async def test_reports_about_an_erased_session_are_not_offered() -> None:
    passes = Passes()
    feed, boards = watched(passes, 1)
    news = FeedNews(feed, cast("LiveSessions", NoSessions()), cast("Post", None), cast("Readers", None))
    news.deliver([reported(1), reported(2)])
    news.erased("s1")
    while boards[0].pushes == 0:
        await asyncio.sleep(0)
    assert list(boards[0].frames) == ["s2"]


class Sent:
    """The post to other gateways."""

    def __init__(self, passes: Passes) -> None:
        self.news: list[tuple[str, str]] = []
        self._passes = passes

    def session(self, name: str, news: SessionNews) -> None:
        self._passes.done(SECONDS)
        self.news.append((name, news.session.session_id))


class Others:
    """Other gateways, all of which have a feed."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)

    def feeds(self, *, summaries: bool = False) -> list[str]:
        return [] if summaries else self.names

    def wants_summaries(self, _name: str) -> bool:
        return False


def telling(passes: Passes, others: Others, sessions: NoSessions) -> tuple[FeedNews, Sent]:
    feed, _ = watched(passes, 0)
    sent = Sent(passes)
    return FeedNews(feed, cast("LiveSessions", sessions), cast("Post", sent), cast("Readers", others)), sent


async def test_other_gateways_are_told_many_changes_a_slice_at_a_time_and_none_of_an_erased_session() -> None:
    passes, others = Passes(), Others("a", "b")
    news, sent = telling(passes, others, NoSessions())
    for number in range(300):
        news.offer(Change(state(number).session()), {"active"})
    with passes:
        news.push()
        await asyncio.sleep(0)
        assert 0 < len(sent.news) < 300
        news.erased("s250")
        while len(sent.news) < 2 * 299:
            await asyncio.sleep(0)
    await news.stop()
    assert {session_id for _, session_id in sent.news} == {f"s{number}" for number in range(300)} - {"s250"}
    assert passes.most <= SLICE_SECONDS / SECONDS + 2


class Published(NoSessions):
    """This gateway has these, which say when their publisher is asked for."""

    def __init__(self, most: int, passes: Passes) -> None:
        super().__init__()
        for number in range(most):
            self.live[f"s{number}"] = SimpleNamespace(state=Asked(number, passes))


class Asked:
    """A published session in memory."""

    erased = False

    def __init__(self, number: int, passes: Passes) -> None:
        self.record = SessionRecord(f"s{number}", "en", STARTED + timedelta(seconds=number))
        self.session = self.record.session
        self._passes = passes

    @property
    def publisher(self) -> object:
        self._passes.done(SECONDS)
        return self


async def test_a_new_gateway_is_told_the_newest_sessions_a_slice_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_news, "MANY", 10)
    monkeypatch.setattr(feed_news, "MAX_SNAPSHOT", 30)
    passes, others = Passes(), Others("a")
    news, sent = telling(passes, others, Published(400, passes))
    with passes:
        news.readers_changed()
        while len(sent.news) < 30:
            await asyncio.sleep(0)
        news.readers_changed()
        await asyncio.sleep(0)
    await news.stop()
    assert sent.news == [("a", f"s{number}") for number in range(399, 369, -1)], "once, the newest first"
    assert passes.most <= SLICE_SECONDS / SECONDS + 10

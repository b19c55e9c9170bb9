"""A tick with very many changes and dashboards is done in slices, between which others have their turn."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import cast

from tests.support.passes import Passes
from turnwire.gateway.live.state import SessionState
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

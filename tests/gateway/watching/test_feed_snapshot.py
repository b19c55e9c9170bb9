"""The snapshot of a feed is read page by page, as the client reads: little of it is held for one that has stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import msgspec
import pytest

from turnwire.gateway.connections.outbox import FrameOutbox
from turnwire.gateway.watching.feed import Change, Feed
from turnwire.gateway.watching.feed_subscription import CHANGES_AT_ONCE, MAX_SNAPSHOT, FeedSubscription
from turnwire.protocol.codec import CODECS, JSON, Codec
from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.limits import Limits
from turnwire.protocol.messages import Message, Session
from turnwire.protocol.times import format_time
from turnwire.store.event_log import EventLog
from turnwire.store.sessions import SessionQuery

T = TypeVar("T")
BOUND = 1024 * 1024
STARTED = datetime(2025, 1, 1, tzinfo=UTC)


def session(number: int, size: int) -> Session:
    return Session(
        f"s{number:04}", "active", "en", format_time(STARTED - timedelta(seconds=number)), None, {"text": "x" * size}
    )


class Board:
    """The connection of a client that reads nothing until told to, and what there is to list."""

    limits = Limits()

    def __init__(self, count: int, size: int, codec: Codec = JSON) -> None:
        self.codec = codec
        self.sessions = [session(number, size) for number in range(count)]
        self.queries: list[SessionQuery] = []
        self.away = False
        self.reading = asyncio.Event()
        self.read: list[Any] = []
        self.lagging = False
        self.outbox = FrameOutbox(self._drain, None, BOUND)
        self.feed = Feed(cast("EventLog", None), lambda _: None)
        self.subscription = FeedSubscription(self, "f", self.feed)

    async def _drain(self, frame: bytes) -> None:
        await self.reading.wait()
        if self.codec.text:
            frame = frame[frame.index(b"{") :]  # a change is a frame already
        self.read.append(msgspec.json.decode(frame) if self.codec.text else msgspec.msgpack.decode(frame))

    def frame(self, payload: bytes) -> bytes:
        return payload

    def send(self, message: Message) -> None:
        self.outbox.put(self.codec.encode(message))

    def lags(self, subscription: FeedSubscription) -> None:
        self.lagging = True

    async def list_sessions(self, query: SessionQuery, show: Callable[[Session], T]) -> list[T]:
        self.queries.append(query)
        await asyncio.sleep(0)
        if self.away:
            raise StorageUnavailable()
        last = "" if query.before is None else query.before[1]
        return [show(each) for each in self.sessions if each.session_id > last][: query.limit]

    async def start(self) -> None:
        await self.subscription.start(self.list_sessions)

    async def go_on(self) -> None:
        """Catch up as the connection does, until there is nothing more to send."""
        while self.lagging:
            await self.outbox.room()
            self.lagging = False
            try:
                await self.subscription.catch_up()
            except StorageUnavailable:
                self.away, self.lagging = False, True
        await self.outbox.flushed()
        await asyncio.sleep(0)

    @property
    def listed(self) -> list[str]:
        return [each["sessionId"] for message in self.read[1:] for each in message.get("sessions", ())]


@pytest.fixture
async def boards() -> AsyncIterator[list[Board]]:
    made: list[Board] = []
    yield made
    for board in made:
        board.subscription.close()
        board.outbox.close()


@pytest.mark.slow
async def test_little_is_read_for_a_client_that_has_stopped_reading(boards: list[Board]) -> None:
    board = Board(600, 60_000)
    boards.append(board)
    await board.start()
    going_on = asyncio.create_task(board.go_on())
    for _ in range(200):
        await asyncio.sleep(0)
    assert sum(query.limit for query in board.queries) <= 40  # of 500 that take 30 MB
    assert board.outbox.size <= BOUND
    board.reading.set()
    await going_on
    assert board.listed == [each.session_id for each in board.sessions[:MAX_SNAPSHOT]]
    assert max(query.limit for query in board.queries[1:]) <= 4


async def test_small_sessions_are_one_message_from_two_pages(boards: list[Board]) -> None:
    board = Board(MAX_SNAPSHOT + 10, 10)
    boards.append(board)
    board.reading.set()
    await board.start()
    await board.go_on()
    assert [query.limit for query in board.queries] == [20, MAX_SNAPSHOT - 20]
    assert [message["type"] for message in board.read] == ["subscribed", "sessions"]
    assert len(board.listed) == MAX_SNAPSHOT


async def test_a_feed_of_no_sessions_begins_with_an_empty_message(boards: list[Board]) -> None:
    board = Board(0, 0)
    boards.append(board)
    board.reading.set()
    await board.start()
    await board.go_on()
    subscribed = {"type": "subscribed", "ref": "f", "minReceiveBytes": Limits().receive_bytes}
    assert board.read == [subscribed, {"type": "sessions", "ref": "f", "sessions": []}]


async def test_a_session_erased_while_its_page_waits_is_not_shown(boards: list[Board]) -> None:
    board = Board(30, 60_000)
    boards.append(board)
    await board.start()
    board.subscription.erased("s0019")  # its page has been read
    board.subscription.erased("s0025")  # that of this one has not, and its read may have begun before
    board.reading.set()
    board.lagging = True
    await board.go_on()
    erased = [message["sessionId"] for message in board.read if message["type"] == "erased"]
    listed = [each["sessionId"] for message in board.read for each in message.get("sessions", ())]
    assert erased == ["s0019", "s0025"]
    assert listed == [each.session_id for each in board.sessions if each.session_id not in erased]


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
async def test_a_session_erased_while_it_waits_in_the_outbox_is_not_sent(boards: list[Board], codec: Codec) -> None:
    board = Board(12, 20_000, codec)
    boards.append(board)
    await board.start()
    while board.lagging and board.outbox.has_room:
        board.lagging = False
        await board.subscription.catch_up()
    await asyncio.sleep(0)  # the first frame is on its way
    new = Change(session(99, 10))
    board.subscription.offer(new, {"active"})
    board.subscription.push()
    before = board.outbox.size
    for session_id in ("s0003", "s0007", "s0099", "s0004"):
        board.subscription.erased(session_id)
    assert board.outbox.size < before - 40_000
    board.reading.set()
    board.lagging = True
    await board.go_on()
    gone = ["s0003", "s0007", "s0099", "s0004"]
    assert board.listed == [each.session_id for each in board.sessions if each.session_id not in gone]
    assert [each for each in board.read if each["type"] == "session"] == []
    assert [each["sessionId"] for each in board.read if each["type"] == "erased"] == gone


async def test_a_page_that_cannot_be_read_is_read_later(boards: list[Board]) -> None:
    board = Board(60, 60_000)
    boards.append(board)
    board.reading.set()
    await board.start()
    board.away = True
    await board.go_on()
    assert board.listed == [each.session_id for each in board.sessions]


async def test_a_feed_that_is_closed_while_a_page_is_read_sends_nothing_more(boards: list[Board]) -> None:
    board = Board(60, 10_000)
    boards.append(board)
    board.reading.set()
    await board.start()
    while board.outbox.unread:
        await asyncio.sleep(0)
    count, pages = len(board.read), len(board.queries)
    board.lagging = False
    catching_up = asyncio.create_task(board.subscription.catch_up())
    await asyncio.sleep(0)
    board.subscription.close()
    await catching_up
    assert (len(board.queries), len(board.read), board.lagging) == (pages + 1, count, False)
    assert not board.outbox.unread


async def test_of_very_many_changes_some_are_sent_at_once_and_the_rest_in_order_as_its_turn_comes(
    boards: list[Board],
) -> None:
    board = Board(0, 0)
    boards.append(board)
    board.reading.set()
    await board.start()
    await board.go_on()
    for number in range(2500):
        board.subscription.offer(Change(session(number, 10)), {"active"})
    board.subscription.push()
    await board.outbox.flushed()
    await asyncio.sleep(0)
    windows = 1
    assert len(board.read) == 2 + CHANGES_AT_ONCE
    while board.lagging:
        board.lagging = False
        await board.subscription.catch_up()
        await board.outbox.flushed()
        windows += 1
    await asyncio.sleep(0)
    assert windows == 2500 / CHANGES_AT_ONCE
    told = [message["session"]["sessionId"] for message in board.read if message["type"] == "session"]
    assert told == [f"s{number:04}" for number in range(2500)]

"""Frames of clients, as they are judged before aiohttp reads them: whole, cut anywhere, and broken."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

import pytest

from tests.support.sockets import BINARY, CLOSE, PING, TEXT, client_frame
from turnwire.gateway.http.websocket_frames import BrokenFrame, DeafReader, StrictReader, frame_size, may_be_sent

CONTINUATION = 0
REFUSED = b"\xf0\x80"
"""What stands in the place of a broken frame: reserved bits, which aiohttp refuses with 1002."""


class Collector:
    """In the place of aiohttp's reader."""

    def __init__(self) -> None:
        self.fed: list[bytes] = []
        self.ended = False
        self.refuses: bytes | None = None

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.fed.append(data)
        return self.refuses is not None and data.endswith(self.refuses), b""

    def feed_eof(self) -> None:
        self.ended = True


class Connection:
    """The source of the bytes: what is put off is done when the test says so."""

    def __init__(self) -> None:
        self.is_held = False
        self.is_read = True
        self.is_open = True
        self.may_begin = True
        self.later: list[Callable[[], None]] = []
        self.sizes: list[float] = []
        """Of all slices that were to be passed on."""

    def hold_reading(self) -> None:
        self.is_read = False

    def release_reading(self) -> None:
        self.is_read = True

    def begin(self, size: float = 1.0) -> bool:
        self.sizes.append(size)
        return self.may_begin

    def soon(self, work: Callable[[], None], size: float = 1.0) -> None:
        self.sizes.append(size)
        self.later.append(work)

    def close(self) -> None:
        self.is_open = False


def reader_of(collector: Collector, connection: Connection) -> StrictReader:
    return StrictReader(collector, connection, connection)


def read(*chunks: bytes) -> bytes:
    """What comes through of these chunks."""
    collector = Collector()
    reader = reader_of(collector, Connection())
    for chunk in chunks:
        reader.feed_data(chunk)
    return b"".join(collector.fed)


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return client_frame(struct.pack("!H", code) + reason, CLOSE)


def long_frame(width: str, length: int) -> bytes:
    """A text frame whose length is written as wide as this."""
    flag = 126 if width == "H" else 127
    return struct.pack(f"!BB{width}", 0x81, 0x80 | flag, length) + bytes(4 + min(length, 1 << 20))


GOOD = [
    client_frame(b""),
    client_frame(b"x" * 125),
    client_frame(b"x" * 126),
    client_frame(b"x" * 65_536, BINARY),
    client_frame(b"", PING),
    client_frame(b"a", TEXT, fin=False) + client_frame(b"p", PING) + client_frame(b"b", CONTINUATION),
    client_frame(b"", CLOSE),
    client_frame(b"\x03", CLOSE),  # too short for a code, which aiohttp refuses
    close_frame(1000, b"bye"),
    close_frame(4999),
]


@pytest.mark.parametrize("number", range(len(GOOD) + 1))
def test_good_frames_come_through_as_they_are_however_they_are_cut(number: int) -> None:
    frames = [*GOOD, b"".join(GOOD[:6]) + GOOD[-1]][number]
    assert read(frames) == frames
    for cut in {*range(1, min(len(frames), 40)), len(frames) - 1, len(frames) - 20} & set(range(1, len(frames))):
        assert read(frames[:cut], frames[cut:]) == frames
    assert read(*(frames[at : at + 1] for at in range(min(len(frames), 400)))) == frames[:400][: len(frames)]


BROKEN = {
    "not masked": b"\x81\x05hello",
    "not masked, empty": b"\x89\x00",
    "16 bits for 125": long_frame("H", 125),
    "64 bits for 125": long_frame("Q", 125),
    "64 bits for 65535": long_frame("Q", 65_535),
    "the highest bit of a length": long_frame("Q", 1 << 63),
    "a message amid another": client_frame(b"", TEXT, fin=False) + client_frame(b"x", TEXT),
    **{f"close with {code}": close_frame(code) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)},
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_frame_is_replaced_by_one_that_is_refused_however_it_is_cut(broken: bytes) -> None:
    before = client_frame(b"hello")
    kept = broken[: len(client_frame(b"", TEXT))] if broken.startswith(b"\x01") else b""  # its first half is fine
    for data in (broken, before + broken):
        expected = data[: len(data) - len(broken)] + kept + REFUSED
        assert read(data).startswith(expected)
        for cut in range(1, min(len(data), 30)):
            assert read(data[:cut], data[cut:]).startswith(expected)


def test_nothing_of_a_frame_comes_through_before_it_can_be_judged() -> None:
    assert read(b"\x81") == b""
    assert read(b"\x81\xfe\x00") == b""
    assert read(close_frame(1000)[:7]) == b""
    with pytest.raises(BrokenFrame):
        frame_size(b"\x81\x00", 0)
    assert frame_size(client_frame(b"abc"), 0) == 9


FLOOD = client_frame(b"x") * 1000
SMALL = len(client_frame(b"x"))


def test_of_many_small_frames_a_few_are_passed_on_between_the_turns_of_others() -> None:
    collector, connection = Collector(), Connection()
    reader = reader_of(collector, connection)
    assert reader.feed_data(FLOOD + FLOOD[:3]) == (False, b"")
    assert (len(collector.fed), connection.is_read) == (1, False)
    assert reader.feed_data(FLOOD[3:]) == (False, b"")  # had been read before the socket was held
    while connection.later:
        assert not connection.is_read
        connection.later.pop()()
    assert b"".join(collector.fed) == FLOOD * 2
    assert max(map(len, collector.fed)) <= 128 * SMALL
    assert connection.is_read


@pytest.mark.parametrize("begun", [b"", client_frame(b"x" * 5000)])
def test_if_others_have_had_their_share_of_a_pass_the_first_frames_wait_too(begun: bytes) -> None:
    collector, connection = Collector(), Connection()
    reader = reader_of(collector, connection)
    reader.feed_data(begun[:3000])
    connection.may_begin = False
    assert reader.feed_data(begun[3000:] + FLOOD) == (False, b"")
    assert b"".join(collector.fed) == begun
    while connection.later:
        connection.later.pop()()
    assert b"".join(collector.fed) == begun + FLOOD


def test_a_message_alone_waits_only_if_many_others_have_come_in_the_same_pass() -> None:
    collector, connection = Collector(), Connection()
    reader, message = reader_of(collector, connection), client_frame(b"x" * 300)
    assert reader.feed_data(message) == (False, b"")
    assert (collector.fed, connection.later) == ([message], [])
    connection.may_begin = False
    assert reader.feed_data(message) == (False, b"")
    assert (b"".join(collector.fed), connection.is_read) == (message, False)
    assert set(connection.sizes) == {1 / 16}, "as many in a pass as take as long as four slices"
    connection.later.pop()()
    assert (b"".join(collector.fed), connection.is_read) == (message * 2, True)


def test_no_frames_are_passed_on_while_earlier_messages_wait() -> None:
    collector, connection = Collector(), Connection()
    reader = reader_of(collector, connection)
    reader.feed_data(FLOOD)
    connection.is_held = True
    connection.later.pop()()
    assert (len(collector.fed), connection.later, connection.is_read) == (1, [], False)
    connection.is_held = False
    for _ in range(3):
        reader.resumed()  # each time that it takes messages again
    assert (len(collector.fed), len(connection.later)) == (1, 1)
    connection.later.pop()()
    assert (len(collector.fed), len(connection.later)) == (2, 1)


def test_the_end_of_a_connection_comes_after_all_that_was_put_off() -> None:
    collector, connection = Collector(), Connection()
    reader = reader_of(collector, connection)
    reader.feed_data(FLOOD)
    reader.feed_eof()
    assert not collector.ended
    while connection.later:
        connection.later.pop()()
    assert (len(b"".join(collector.fed)), collector.ended) == (len(FLOOD), True)


def test_deferred_frames_are_dropped_once_the_connection_ignores_them() -> None:
    collector, connection = Collector(), Connection()
    reader = reader_of(collector, connection)
    reader.feed_data(FLOOD)
    reader.forget()
    connection.later.pop()()
    assert (len(collector.fed), connection.is_read, connection.later) == (1, True, [])
    deaf = DeafReader(reader, connection, connection)
    assert deaf.feed_data(FLOOD) == (False, b"")
    deaf.feed_eof()
    assert (len(collector.fed), collector.ended) == (1, True)


@pytest.mark.parametrize("closes", [False, True])
async def test_a_socket_that_sends_much_that_is_ignored_is_read_now_and_then(closes: bool) -> None:
    connection = Connection()
    reader = reader_of(Collector(), connection) if closes else DeafReader(Collector(), connection, connection)
    reader.feed_data(close_frame(1000))
    reader.feed_data(FLOOD)
    assert connection.is_read
    reader.feed_data(FLOOD * 20)
    assert not connection.is_read
    async with asyncio.timeout(5):
        while not connection.later:
            await asyncio.sleep(0.01)
    assert not connection.is_read  # a few are read in each pass
    connection.later.pop()()
    assert connection.is_read


@pytest.mark.parametrize(
    "after",
    [client_frame(b"x"), FLOOD, close_frame(1000) * 1000, b"\x81\x05hello"],
    ids=["one frame", "a flood", "more close frames", "a broken one"],
)
@pytest.mark.parametrize("piece", [1, 7, 70_000])
def test_what_follows_a_close_frame_is_dropped_unseen_however_it_is_cut(after: bytes, piece: int) -> None:
    collector, connection = Collector(), Connection()
    reader, good = reader_of(collector, connection), FLOOD[: 3 * SMALL] + close_frame(1000, b"bye")
    sent = good + after
    for at in range(0, len(sent), piece):
        assert reader.feed_data(sent[at : at + piece]) == (False, b"")
    reader.feed_data(client_frame(b"x"))
    assert (b"".join(collector.fed), connection.later, connection.is_read) == (good, [], True)
    reader.feed_eof()
    assert collector.ended


def test_a_broken_frame_amid_many_small_ones_ends_the_connection_there() -> None:
    collector, connection = Collector(), Connection()
    collector.refuses = REFUSED
    reader_of(collector, connection).feed_data(FLOOD + b"\x81\x05hello" + FLOOD)
    while connection.later:
        connection.later.pop()()
    assert b"".join(collector.fed) == FLOOD + REFUSED
    assert not connection.is_open


def test_the_end_of_the_connection_is_passed_on() -> None:
    collector = Collector()
    reader_of(collector, Connection()).feed_eof()
    assert collector.ended


def test_codes_that_may_be_sent_are_those_of_the_registry_of_libraries_and_of_applications() -> None:
    registered = {*range(1000, 1015)} - {1004, 1005, 1006}
    assert {code for code in range(65_536) if may_be_sent(code)} == registered | set(range(3000, 5000))

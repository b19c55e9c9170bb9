"""The frames that wait for one socket."""

from __future__ import annotations

import asyncio

import pytest

from turnwire.gateway.connections.frames import server_frame
from turnwire.gateway.connections.outbox import FrameOutbox


class Slow:
    """A socket that takes a frame when the test tells it to."""

    def __init__(self, max_bytes: int = 100) -> None:
        self.taken: list[bytes] = []
        self._gate = asyncio.Semaphore(0)
        self.outbox = FrameOutbox(self._write, None, max_bytes)

    async def _write(self, frame: bytes) -> None:
        await self._gate.acquire()
        self.taken.append(frame)

    async def take(self, count: int) -> None:
        wanted = len(self.taken) + count
        for _ in range(count):
            self._gate.release()
        async with asyncio.timeout(5):
            while len(self.taken) < wanted:
                await asyncio.sleep(0)


@pytest.mark.parametrize(("size", "head"), [(0, 2), (125, 2), (126, 4), (65535, 4), (65536, 10)])
def test_a_frame_has_the_websocket_header_for_its_size(size: int, head: int) -> None:
    for text, first in ((True, 0x81), (False, 0x82)):
        frame = server_frame(b"x" * size, text=text)
        assert len(frame) == head + size
        assert frame[0] == first
        assert int.from_bytes(frame[1:2] if head == 2 else frame[2:head]) == size


async def test_an_outbox_sends_its_frames_in_order() -> None:
    slow = Slow()
    for number in range(10):
        slow.outbox.put(b"%d" % number)
    await slow.take(10)
    assert slow.taken == [b"%d" % number for number in range(10)]
    await slow.outbox.flushed()
    assert slow.outbox.size == 0


async def test_a_newer_frame_of_a_key_replaces_an_older_one_that_waits() -> None:
    slow = Slow()
    slow.outbox.put(b"first")
    await slow.take(1)
    slow.outbox.put(b"a1", key="a")
    slow.outbox.put(b"b1", key="b")
    slow.outbox.put(b"plain")
    slow.outbox.put(b"a2", key="a")
    assert slow.outbox.size == len(b"b1plaina2")
    await slow.take(3)
    assert slow.taken == [b"first", b"b1", b"plain", b"a2"]


async def test_a_frame_that_has_been_sent_is_not_replaced_by_a_newer_one_of_its_key() -> None:
    slow = Slow()
    slow.outbox.put(b"a1", key="a")
    await slow.take(1)
    slow.outbox.put(b"a2", key="a")
    await slow.take(1)
    assert slow.taken == [b"a1", b"a2"]
    assert slow.outbox.size == 0


async def test_frames_that_wait_are_dropped_or_changed_by_what_they_tell_of() -> None:
    slow = Slow()
    for number in range(9):
        slow.outbox.put(b"%d" % number, of="even" if number % 2 == 0 else "odd" if number < 7 else None)
    await slow.take(1)
    await asyncio.sleep(0)  # 1 is on its way
    slow.outbox.drop("even")
    assert slow.outbox.size == 4 - 1
    slow.outbox.revise(lambda of, frame: frame * 3 if of == "odd" else b"never")
    assert slow.outbox.size == 7
    await slow.take(4)
    assert slow.taken == [b"0", b"1", b"333", b"555", b"7"]
    assert slow.outbox.size == 0


async def test_dropping_what_waits_makes_room() -> None:
    slow = Slow()
    for _ in range(10):
        slow.outbox.put(b"x" * 10, of="it")
    waiting = asyncio.create_task(slow.outbox.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    slow.outbox.drop("it")
    await waiting


async def test_an_outbox_has_room_while_a_usual_frame_fits_its_bound() -> None:
    slow = Slow(max_bytes=100)
    assert slow.outbox.has_room
    slow.outbox.put(b"x" * 50)
    assert slow.outbox.has_room
    slow.outbox.put(b"x")
    assert not slow.outbox.has_room


async def test_waiting_for_room_in_an_outbox_ends_when_there_is_room() -> None:
    slow = Slow(max_bytes=100)
    for _ in range(10):
        slow.outbox.put(b"x" * 20)
    waiting = asyncio.create_task(slow.outbox.room())
    await asyncio.sleep(0)
    assert slow.outbox.size == 180  # one frame is on its way
    await slow.take(6)
    assert not waiting.done()
    await slow.take(1)
    await asyncio.wait_for(waiting, 5)
    assert slow.outbox.size <= 50
    assert slow.outbox.has_room
    await slow.outbox.room(0.5)
    slow.outbox.close()


async def test_closing_an_outbox_drops_its_frames_and_wakes_its_waiters() -> None:
    slow = Slow()
    for _ in range(10):
        slow.outbox.put(b"x" * 50)
    waiting = [asyncio.create_task(slow.outbox.room()), asyncio.create_task(slow.outbox.flushed())]
    await asyncio.sleep(0)
    slow.outbox.close()
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting)
    slow.outbox.put(b"after")
    assert slow.outbox.size == 0
    assert slow.taken == []


async def test_a_lost_socket_closes_its_outbox() -> None:
    async def gone(frame: bytes) -> None:
        raise ConnectionResetError("gone")

    outbox = FrameOutbox(gone, None, 100)
    for _ in range(5):
        outbox.put(b"x" * 60)
    async with asyncio.timeout(5):
        await outbox.room()
        await outbox.flushed()
    assert outbox.closed

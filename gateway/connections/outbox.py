"""The bounded queue of frames for one socket."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from turnwire.protocol.limits import FRAME_BYTES
from turnwire.store.on_demand import OnDemandTask

_DIRECT_BYTES = 64 * 1024
"""While the transport buffers less than this, a frame goes to it at once."""


class _Entry:
    """A queued frame."""

    __slots__ = ("frame", "of")

    def __init__(self, frame: bytes, of: object) -> None:
        self.frame = frame
        """Empty once it has been taken or dropped."""
        self.of = of


class FrameOutbox:
    """Frames for one socket: written to the transport at once while it keeps up, else queued here.

    Senders keep the bound: they check `has_room` before each frame, or await `room()`. The queue is owned by its drain
    task, which runs while there are frames in it.
    """

    __slots__ = ("_drain", "_frames", "_replaceable", "_task", "_transport", "_waiters", "closed", "max_bytes", "size")

    def __init__(
        self, drain: Callable[[bytes], Awaitable[None]], transport: asyncio.WriteTransport | None, max_bytes: int
    ) -> None:
        """`drain` writes one frame and returns when the socket can take more. It is used for all frames if `transport`
        is None."""
        self._drain = drain
        self._transport = transport
        # Most connections never queue. What is needed only for that, about 1,100 bytes, is made at the first need.
        self._frames: deque[_Entry] | None = None
        """None while no frame waits and the drain task does not run."""
        self._replaceable: dict[object, _Entry] | None = None
        self._task: OnDemandTask | None = None
        self._waiters: list[asyncio.Future[None]] | None = None
        self.closed = False
        self.max_bytes = max_bytes
        self.size = 0
        """Number of queued bytes."""

    @property
    def frame_bytes(self) -> int:
        """The size that pushes are split to, unless a single event or session is larger."""
        return min(FRAME_BYTES, self.max_bytes // 2)

    @property
    def has_room(self) -> bool:
        """Whether a frame of `frame_bytes` fits within the bound. True after `room()`."""
        return self.size + self.frame_bytes <= self.max_bytes

    @property
    def unread(self) -> bool:
        """Whether there are frames that the other side has not read yet."""
        if self._frames is not None:
            return True
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    def put(self, frame: bytes, key: object = None, of: object = None) -> None:
        """Send `frame` after those put before. With a `key`, drop a frame with the same key that is still queued.

        `of`: what the frame is about, for `revise`.
        """
        if not self._send_at_once(frame) and not self.closed:
            self._queue(frame, key, of)

    def offer(self, frame: bytes, of: object = None) -> bool:
        """Put `frame` if there is room for one of `frame_bytes`. Return whether it was put."""
        if self._send_at_once(frame) or self.closed:
            return True
        if self._frames is not None and not self.has_room:
            return False
        self._queue(frame, None, of)
        return True

    def revise(self, change: Callable[[object, bytes], bytes]) -> None:
        """Replace queued frames that were put with an `of` by what `change(of, frame)` returns; empty drops them."""
        for entry in self._frames or ():
            if entry.of is not None and entry.frame:
                self.size -= len(entry.frame)
                entry.frame = change(entry.of, entry.frame)
                self.size += len(entry.frame)
        self._release()

    def drop(self, of: object) -> None:
        """Drop the queued frames that were put with this `of`."""
        self.revise(lambda each, frame: b"" if each is of else frame)

    def _send_at_once(self, frame: bytes) -> bool:
        """Write the frame to the transport if that is possible now. Return whether nothing is left to do."""
        transport = self._transport
        if transport is None or self._frames is not None or self.closed:
            return False
        if transport.is_closing():
            return True
        if transport.get_write_buffer_size() >= _DIRECT_BYTES:
            return False
        transport.write(frame)
        return True

    def _queue(self, frame: bytes, key: object, of: object) -> None:
        entry = _Entry(frame, of)
        if key is not None:
            self._replace(key, entry)
        if self._frames is None:
            self._frames = deque()
        self._frames.append(entry)
        self.size += len(frame)
        if self._task is None:
            self._task = OnDemandTask()
        self._task.wake(self._run)

    def _replace(self, key: object, entry: _Entry) -> None:
        if self._replaceable is None:
            self._replaceable = {}
        older = self._replaceable.get(key)
        if older is not None:
            self.size -= len(older.frame)
            older.frame = b""
        self._replaceable[key] = entry

    async def _run(self) -> None:
        try:
            while self._frames:
                entry = self._frames.popleft()
                frame = entry.frame
                entry.frame = b""
                self.size -= len(frame)
                self._release()
                if frame:
                    await self._drain(frame)
        except (ConnectionError, RuntimeError):  # the socket is gone; its reader sees that too
            self.close()
        self._frames = self._replaceable = None
        self._release()

    def _release(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    async def room(self, at_most: float = 0.5) -> None:
        """Wait until at most this share of the bound is queued, or the outbox is closed."""
        while self.size > self.max_bytes * at_most and not self.closed:
            await self._changed()

    async def flushed(self) -> None:
        """Wait until all frames are written to the transport, or the outbox is closed."""
        while self._frames and not self.closed:
            await self._changed()

    async def _changed(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters = [*(self._waiters or ()), waiter]
        await waiter

    def close(self) -> None:
        """Drop all queued frames, and those that are put from now on."""
        self.closed = True
        self._frames = self._replaceable = None
        self.size = 0
        self._drain = _drop  # the drain refers back to the connection: only the garbage collector would free both
        if self._task is not None:
            self._task.cancel()
        self._release()


async def _drop(frame: bytes) -> None:
    """Stands in for the drain of a closed outbox."""

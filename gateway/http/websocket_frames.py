"""Checks of WebSocket frames that RFC 6455 requires and aiohttp's reader leaves out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

_MASKED: Final = 0x80
_CONTROL: Final = 0x08
_CLOSE: Final = 0x08
_MASK_BYTES: Final = 4
_WHOLE_MESSAGES: Final = (0x81, 0x82)
"""The first bytes of a text and of a binary message that consist of one frame."""
_FRAMES_AT_ONCE: Final = 128
"""The frames that are passed on before others get a turn: about a third of a millisecond."""
AT_ONCE: Final = 4
"""The slices of all connections that are passed on in one pass of the loop."""
_MESSAGE: Final = 1 / 16
"""What a message that arrives alone counts as, in slices: thousands of calls may say something at the same moment."""
_MUCH: Final = 16 * 1024
"""Bytes that are dropped before a socket rests. As long as each read fills the buffer, the loop reads a socket up to 32
times in a pass: 8 MiB."""
_REST: Final = 0.05
"""Seconds."""
_SMALL: Final = 1024
"""Up to this many bytes hold so few frames that they are passed on at once."""
_BROKEN: Final = b"\xf0\x80"
"""The head of a frame with reserved bits. aiohttp refuses it with 1002."""


class BrokenFrame(Exception):
    """A frame breaks the protocol: the connection must be closed with 1002."""


class Reader(Protocol):
    """The reader that gets the bytes of a connection from aiohttp."""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]: ...
    def feed_eof(self) -> None: ...


class Source(Protocol):
    """The connection that the bytes come from."""

    @property
    def is_held(self) -> bool:
        """Whether to pass nothing on, because the previous messages have not been taken yet."""

    def hold_reading(self) -> None: ...
    def release_reading(self) -> None: ...
    def close(self) -> None: ...


class Passes(Protocol):
    """Shares out the passes of the loop to all connections."""

    def begin(self, size: float = 1.0) -> bool:
        """Return whether a slice may be passed on at once; a smaller one has a smaller size."""

    def soon(self, work: Callable[[], None], size: float = 1.0) -> None:
        """Call `work` after others have had their turn."""


class StrictReader:
    """Checks the heads of frames, and passes the bytes on to another reader, a slice at a time.

    It refuses frames that are not masked, frames whose length could be written shorter, frames that begin a message
    inside another one, and close frames with a code that must not be sent. For a refused frame, the other reader gets a
    frame that it refuses. What follows a close frame is dropped unseen.

    A socket hands over up to 256 KiB, which may be 40,000 small frames. A few of them are passed on between the turns
    of other connections. The socket is not read until all have been.
    """

    __slots__ = (  # several to a line: a line for each would hide the class
        "_amid_message", "_at", "_backlog", "_has_ended", "_held", "_is_closed", "_is_due", "_left", "_passes",
        "_reader", "_source",
    )  # fmt: skip

    def __init__(self, reader: Reader, source: Source, passes: Passes) -> None:
        self._reader = reader
        self._source = source
        self._passes = passes
        self._is_due = False
        """Whether `_go_on` is about to be called."""
        self._held = b""
        """The start of a frame, too short to check yet."""
        self._left = 0
        """The number of bytes of a checked frame that have not arrived yet."""
        self._amid_message = False
        self._backlog = b""
        """What has arrived and is passed on only up to `_at`. It begins with a frame."""
        self._at = 0
        self._has_ended = False
        self._is_closed = False
        """Whether the head of a close frame has come."""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Return what aiohttp's reader returns: whether the connection is over, and the rest of the data."""
        if self._backlog:
            self._backlog, self._at = self._backlog[self._at :] + data, 0
            self._source.hold_reading()
            return False, b""
        is_amid = self._left or self._amid_message or self._held or self._is_closed
        if not is_amid and _message_size(data, 0) == len(data):
            return self._reader.feed_data(data) if self._passes.begin(_MESSAGE) else self._put_off(data, 0, 0)
        if len(data) <= self._left:
            self._left -= len(data)
            return self._reader.feed_data(data)
        if self._is_closed:
            drop(data, self._source, self._passes)
            data, self._left = data[: self._left], 0
            return self._reader.feed_data(data) if data else (False, b"")
        data = self._held + data
        at, self._held, self._left = self._left, b"", 0
        if len(data) - at > _SMALL and not self._passes.begin():
            return self._put_off(data, 0, at)
        return self._pass_on(data, 0, at)

    def _pass_on(self, data: bytes, begin: int, at: int) -> tuple[bool, bytes]:
        """Pass on a slice of the data from `begin` on. The first unchecked frame begins at `at`."""
        end = len(data)
        try:
            for _ in range(_FRAMES_AT_ONCE):
                if not self._amid_message and (size := _message_size(data, at)):
                    at += size
                    continue
                if at >= end or not (size := frame_size(data, at)):
                    break
                self._follow(data[at])
                at += size
                if self._is_closed:
                    data = data[:at]
                    break
            else:
                if at < end:
                    return self._put_off(data, begin, at)
        except BrokenFrame:
            return self._reader.feed_data(data[begin:at] + _BROKEN)
        if at < end and not self._is_closed:
            self._held = data[at:]
            return self._reader.feed_data(data[begin:at])
        self._left = max(at - end, 0)
        return self._reader.feed_data(data[begin:])

    def _put_off(self, data: bytes, begin: int, at: int) -> tuple[bool, bytes]:
        """Pass on the data up to `at`, and the rest later."""
        self._backlog, self._at = data, at
        self._source.hold_reading()
        self.resumed()
        return self._reader.feed_data(data[begin:at])

    def resumed(self) -> None:
        """Pass on the next slice soon, if one waits."""
        if self._backlog and not self._is_due:
            self._is_due = True
            alone = _message_size(self._backlog, self._at) == len(self._backlog) - self._at
            self._passes.soon(self._go_on, _MESSAGE if alone else 1.0)

    def _go_on(self) -> None:
        """Pass on the next slice, if one waits and the previous one has been taken."""
        self._is_due = False
        if not self._backlog or self._source.is_held:
            return
        data, at = self._backlog, self._at
        self._backlog, self._at = b"", 0
        is_over, _ = self._pass_on(data, at, at)
        if is_over:
            self._backlog = b""
            self._source.close()
        if self._backlog:
            return
        self._source.release_reading()
        if self._has_ended:
            self._reader.feed_eof()

    def forget(self) -> None:
        """Drop what waits to be passed on."""
        if self._backlog:
            self._backlog = b""
            self._source.release_reading()

    def feed_eof(self) -> None:
        self._has_ended = True
        if not self._backlog:
            self._reader.feed_eof()

    def _follow(self, first: int) -> None:
        """Note what the first byte of a frame says. Raise BrokenFrame if a message begins inside another one."""
        opcode = first & 0x0F
        if opcode >= _CONTROL:
            self._is_closed = opcode == _CLOSE
            return
        if opcode and self._amid_message:
            raise BrokenFrame("a message begins inside another one")
        self._amid_message = first < 0x80


class DeafReader:
    """Stands in for another reader, and passes on only the end of the connection."""

    def __init__(self, reader: Reader, source: Source, passes: Passes) -> None:
        self._reader = reader
        self._source = source
        self._passes = passes

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        drop(data, self._source, self._passes)
        return False, b""

    def feed_eof(self) -> None:
        self._reader.feed_eof()


def drop(data: bytes, source: Source, passes: Passes) -> None:
    """Leave a connection unread for a while if this much of it is dropped.

    Reading takes up to 0.03 ms, so a few of those that have rested are read in each pass.
    """
    if len(data) >= _MUCH:
        source.hold_reading()
        asyncio.get_running_loop().call_later(_REST, passes.soon, source.release_reading)


def _message_size(data: bytes, at: int) -> int:
    """Return what `frame_size` returns for a message of one frame below 64 KiB, else 0. A shortcut, because most
    messages are."""
    if at + 8 > len(data) or data[at] not in _WHOLE_MESSAGES:
        return 0
    second = data[at + 1]
    if _MASKED <= second < _MASKED | 126:
        return second - _MASKED + 6
    if second != _MASKED | 126:
        return 0
    length = data[at + 2] << 8 | data[at + 3]
    return length + 8 if length >= 126 else 0


def frame_size(data: bytes, at: int) -> int:
    """Return the bytes of the frame that begins at this index, including its head; 0 if the head is incomplete.

    Raises BrokenFrame.
    """
    there = len(data) - at
    if there < 2:
        return 0
    second = data[at + 1]
    if second < _MASKED:
        raise BrokenFrame("not masked")
    length, head = second & 0x7F, 2
    if length >= 126:
        head = 4 if length == 126 else 10
        if there < head:
            return 0
        length = _long_length(data[at + 2 : at + head])
    if data[at] & 0x0F == _CLOSE and length >= 2:
        if there < head + _MASK_BYTES + 2:
            return 0
        _check_close_code(data[at + head : at + head + _MASK_BYTES + 2])
    return head + _MASK_BYTES + length


def _long_length(field: bytes) -> int:
    length = int.from_bytes(field)
    if length < (126 if len(field) == 2 else 1 << 16):
        raise BrokenFrame("its length could be shorter")
    if length >= 1 << 63:
        raise BrokenFrame("its length has the highest bit set")
    return length


def _check_close_code(masked: bytes) -> None:
    """Raise BrokenFrame. `masked`: the mask and the first two bytes of the payload."""
    code = int.from_bytes(masked[4:]) ^ int.from_bytes(masked[:2])
    if not may_be_sent(code):
        raise BrokenFrame(f"{code} is not a code to close with")


def may_be_sent(code: int) -> bool:
    """Return whether a close frame may have this code: a registered one, a library's, or an application's."""
    return (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) or 3000 <= code <= 4999

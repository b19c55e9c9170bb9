"""Checks of WebSocket frames that RFC 6455 requires and aiohttp's reader leaves out."""

from __future__ import annotations

from typing import Final, Protocol

_MASKED: Final = 0x80
_CONTROL: Final = 0x08
_CLOSE: Final = 0x08
_MASK_BYTES: Final = 4
_WHOLE_MESSAGES: Final = (0x81, 0x82)
"""First bytes of a text and of a binary message of one frame."""
_BROKEN: Final = b"\xf0\x80"
"""The head of a frame with reserved bits. aiohttp refuses it with 1002."""


class BrokenFrame(Exception):
    """A frame breaks the protocol: the connection must be closed with 1002."""


class Reader(Protocol):
    """The reader to which aiohttp passes the bytes of a connection."""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]: ...
    def feed_eof(self) -> None: ...


class StrictReader:
    """Checks the heads of frames, and passes the bytes on to another reader.

    It refuses frames that are not masked, whose length could be shorter, or that begin a message inside another one,
    and close frames with a code that must not be sent. For a refused frame the other reader gets one that it refuses.
    """

    __slots__ = ("_amid_message", "_held", "_left", "_reader")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._held = b""
        """The start of a frame, too short to check yet."""
        self._left = 0
        """Bytes of a checked frame that have not come yet."""
        self._amid_message = False

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Return what aiohttp's reader returns: whether the connection is over, and the rest of the data."""
        if not (self._left or self._amid_message or self._held) and _is_one_message(data):
            return self._reader.feed_data(data)
        if len(data) <= self._left:
            self._left -= len(data)
            return self._reader.feed_data(data)
        data = self._held + data
        at, end = self._left, len(data)
        try:
            while at < end and (size := frame_size(data, at)):
                self._follow(data[at])
                at += size
        except BrokenFrame:
            self._held, self._left = b"", 0
            return self._reader.feed_data(data[:at] + _BROKEN)
        if at < end:
            self._held, self._left = data[at:], 0
            return self._reader.feed_data(data[:at])
        self._held, self._left = b"", at - end
        return self._reader.feed_data(data)

    def feed_eof(self) -> None:
        self._reader.feed_eof()

    def _follow(self, first: int) -> None:
        """Raise BrokenFrame if a message begins inside another one."""
        opcode = first & 0x0F
        if opcode >= _CONTROL:
            return
        if opcode and self._amid_message:
            raise BrokenFrame("a message begins inside another one")
        self._amid_message = first < 0x80


def _is_one_message(data: bytes) -> bool:
    """Return whether the data is exactly one valid data frame, as it usually is. This is a shortcut."""
    size = len(data)
    if size < 8 or data[0] not in _WHOLE_MESSAGES:
        return False
    second = data[1]
    if second < _MASKED | 126:
        return second - _MASKED == size - 6
    return second == _MASKED | 126 and 126 <= data[2] << 8 | data[3] == size - 8


def frame_size(data: bytes, at: int) -> int:
    """Return the bytes of the frame that begins at this index, including its head; 0 if too little of it is there.

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
        raise BrokenFrame(f"{code} is no code to close with")


def may_be_sent(code: int) -> bool:
    """Return whether a close frame may have this code: a registered one, a library's, or an application's."""
    return (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) or 3000 <= code <= 4999

"""The bytes of a spool: a line that identifies the format, then records, each `<length><CRC-32><body>`.

Both numbers have 4 bytes, little-endian. The first byte of a body is its kind:

    H  the owner of the events, as JSON (`SpoolOwner`); the first record, written twice
    E  an event, encoded as it goes on the wire
    L  how many events of this file, counted from the first, have left; 8 bytes, little-endian. The last L counts

A reader skips damaged bytes up to the next whole record. They may have held events that an L counts. Some events after
them that have left may then be returned again, which the gateway recognizes. No event is lost.
"""

from __future__ import annotations

import zlib
from struct import Struct as Layout
from typing import Any

import msgspec
from msgspec import Struct

MAGIC = b"Turnwire spool 1\n"
_FRAME = Layout("<II")
_COUNT = Layout("<Q")
_KINDS = b"HEL"
_SMALLEST = _FRAME.size + 1


class SpoolOwner(Struct, frozen=True, rename="camel"):
    """The owner of a file's events, their encoding (the name of a subprotocol), and the facts for a new session."""

    gateway: str
    session_id: str
    encoding: str
    language: str | None = None
    metadata: dict[str, Any] | None = None


class Recovered(Struct, frozen=True):
    """The content of a file."""

    owner: SpoolOwner | None
    """None if the beginning of the file is incomplete, or damaged beyond recognition."""
    events: list[bytes]
    """The events that have not left, in order."""
    left: int
    """How many events have left before them."""
    size: int
    """The bytes of the file up to the end of its last whole record."""
    damaged: list[bytes]
    """The bytes between whole records."""


def recover(data: bytes) -> Recovered:
    """Parse the bytes of a file. Raises ValueError for a file that is not a spool."""
    start = len(MAGIC)
    if not data.startswith(MAGIC) and _body(data, start)[:1] != b"H":
        if MAGIC.startswith(data):
            return Recovered(None, [], 0, 0, [])
        raise ValueError("it is not a spool of this version")
    reading = _Reading()
    if not data.startswith(MAGIC):
        reading.damaged.append(data[:start])
    while start < len(data):
        body = _body(data, start)
        if body:
            reading.record(body)
            start += _FRAME.size + len(body)
            reading.size = start
            continue
        after = _next_record(data, start + 1)
        if after is None:
            if _is_whole(data, start):
                reading.damage(data[start:])
            break
        reading.damage(data[start:after])
        start = after
    found = reading.result()
    return found if found.owner is not None else Recovered(None, [], 0, 0, [data] if reading.damaged else [])


class _Reading:
    """The content of the records read so far."""

    def __init__(self) -> None:
        self.size = 0
        self._owner: SpoolOwner | None = None
        self._events: list[bytes] = []
        self._left = 0
        self.damaged: list[bytes] = []
        self._doubts: list[tuple[int, int]] = []
        """The damaged places: how many events precede each, and how many it may have held."""

    def record(self, body: bytes) -> None:
        kind, content = body[:1], body[1:]
        if kind == b"E":
            self._events.append(content)
        elif kind == b"L":
            (self._left,) = _COUNT.unpack(content)
        elif self._owner is None:
            self._owner = msgspec.json.decode(content, type=SpoolOwner)

    def damage(self, data: bytes) -> None:
        self.damaged.append(data)
        self._doubts.append((len(self._events), max(1, len(data) // _SMALLEST)))

    def result(self) -> Recovered:
        left = self._left
        for events_before, hidden in self._doubts:
            if left > events_before:
                left = max(events_before, left - hidden)
        return Recovered(self._owner, self._events[left:], left, self.size, self.damaged)


def _body(data: bytes, start: int) -> bytes:
    """Return the body of the record at `start`; empty if no whole record starts there."""
    if start + _SMALLEST > len(data):
        return b""
    length, checksum = _FRAME.unpack_from(data, start)
    begin = start + _FRAME.size
    if not 0 < length <= len(data) - begin or data[begin] not in _KINDS:
        return b""
    body = data[begin : begin + length]
    if zlib.crc32(body) != checksum or (body[:1] == b"L" and length != 1 + _COUNT.size):
        return b""
    return body


def _next_record(data: bytes, start: int) -> int | None:
    """Return where the next whole record starts, or None."""
    for position in range(start, len(data) - _SMALLEST + 1):
        if data[position + _FRAME.size] in _KINDS and _body(data, position):
            return position
    return None


def _is_whole(data: bytes, start: int) -> bool:
    """Return whether the last record has its full length, and is thus damaged rather than cut short by a kill."""
    if start + _FRAME.size > len(data):
        return False
    length: int = _FRAME.unpack_from(data, start)[0]
    return 0 < length <= len(data) - start - _FRAME.size


def event_record(event: bytes) -> bytes:
    return _record(b"E", event)


def left_record(count: int) -> bytes:
    return _record(b"L", _COUNT.pack(count))


def beginning(owner: SpoolOwner) -> bytes:
    """Return the beginning of a file."""
    return MAGIC + 2 * _record(b"H", msgspec.json.encode(owner))


def size_of(event: bytes) -> int:
    """Return the bytes of an event's record."""
    return _SMALLEST + len(event)


def _record(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return _FRAME.pack(len(body), zlib.crc32(body)) + body

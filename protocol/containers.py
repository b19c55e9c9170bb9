"""Counting the arrays and objects of a frame or body before decoding: in memory, each takes many times its bytes."""

from __future__ import annotations

from typing import Final

from turnwire.protocol.errors import InvalidMessage

_FIRST_BYTES: Final = 64 * 1024
"""Size in bytes of the start of a JSON text that is counted first. A text with too many usually has too many in it."""
_CONTAINER_BYTES: Final = bytes([*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF])
_FIXED: Final = (
    {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
    | {0xD4 + power: 1 + (1 << power) for power in range(5)}
    | {0xA0 + size: size for size in range(32)}
    | dict.fromkeys((*range(0x80), 0xC0, 0xC1, 0xC2, 0xC3, *range(0xE0, 0x100)), 0)
)
"""MessagePack values of fixed size: first byte → number of bytes after it."""
_STEPS: Final = bytes(_FIXED.get(first, -1) + 1 for first in range(0x100))
"""First byte → number of bytes to the next value; 0 for a value that must be examined."""
_SIZED: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
"""MessagePack strings and binaries: first byte → width of the size field after it."""
_EXTENSIONS: Final = {0xC7: 1, 0xC8: 2, 0xC9: 4}
"""MessagePack extensions: first byte → width of the size field after it."""


class TooManyContainers(InvalidMessage):
    """The message has too many arrays and objects to be examined any further."""

    def __init__(self, most: int) -> None:
        super().__init__(f"there may be at most {most} arrays and objects in one message")


def check_containers(data: bytes, most: int, *, text: bool) -> None:
    """Raise TooManyContainers if `data` holds more than `most` arrays and objects; 0 means no limit.

    Return at once for data too short to hold so many.
    """
    if 0 < most < len(data) and (_json_has_more(data, most) if text else _msgpack_has_more(data, most)):
        raise TooManyContainers(most)


def _json_has_more(data: bytes, most: int) -> bool:
    if data.count(b"[") + data.count(b"{") <= most:
        return False
    return any(_count_json(part) > most for part in (data[:_FIRST_BYTES], data))


def _count_json(data: bytes) -> int:
    """Return how many arrays and objects begin in a JSON text, or in the start of one."""
    # Without escaped characters, each quote begins or ends a string.
    outside = b"".join(data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    return outside.count(b"[") + outside.count(b"{")


def _msgpack_has_more(data: bytes, most: int) -> bool:
    if len(data) - len(data.translate(None, _CONTAINER_BYTES)) <= most:
        return False
    steps = data.translate(_STEPS)
    at, found, end = 0, 0, len(data)
    while at < end and found <= most:
        if step := steps[at]:
            at += step
            continue
        first = data[at]
        at += 1
        if 0x80 <= first <= 0x9F or 0xDC <= first <= 0xDF:
            found += 1
            at += 0 if first < 0xDC else 2 if first in (0xDC, 0xDE) else 4
        else:
            width = _SIZED.get(first, 0) or _EXTENSIONS[first]
            at += width + int.from_bytes(data[at : at + width]) + (first in _EXTENSIONS)
    return found > most

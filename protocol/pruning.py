"""Cutting what is nested too deep out of a frame, for decoders that recurse.

What is left still breaks the depth limit where the original did, so the ordinary checks name the culprit, and what
stands beside it is served. One pass, without recursion, linear in the size of the frame. Malformed frames come out
malformed.
"""

from __future__ import annotations

import re

_BRACKETS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
"""A whole string, or a bracket outside of strings. Every byte is looked at once: nothing in it can backtrack."""


def prune_deep_json(data: bytes, keep: int) -> bytes:
    """The JSON text with a `0` in place of every container below `keep` levels; of the same length."""
    kept: list[bytes] = []
    depth = start = 0
    for token in _BRACKETS.finditer(data):
        mark = data[token.start()]
        if mark in b"[{":
            depth += 1
            if depth == keep + 1:
                kept.append(data[start : token.start()])
                start = token.start()
        elif mark in b"]}":
            if depth == keep + 1:
                kept.append(b"0".ljust(token.end() - start))
                start = token.end()
            depth -= 1
    kept.append(data[start:] if depth <= keep else b"0")
    return b"".join(kept)


_NIL = b"\xc0"
_FIXED = {
    0xCA: 5, 0xCB: 9,  # float
    0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9,  # unsigned
    0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9,  # signed
    0xD4: 3, 0xD5: 4, 0xD6: 6, 0xD7: 10, 0xD8: 18,  # fixext
}  # fmt: skip
"""Bytes of the values of fixed size."""
_SIZED = {
    0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0),  # bin
    0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1),  # ext
    0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0),  # str
}  # fmt: skip
"""Bytes of the size that follows the mark, and of what stands before the content."""
_COUNTED = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
"""Arrays and maps: bytes of the count that follows the mark, and values for each of it."""


def prune_deep_msgpack(data: bytes, keep: int) -> bytes:
    """The MessagePack value with nil in place of every container below `keep` levels."""
    kept: list[bytes] = []
    start = position = 0
    left = [1]
    """Values still to come: first of the frame itself, then of every open container."""
    while left and position < len(data):
        left[-1] -= 1
        size, children = _msgpack_head(data, position)
        if children:
            left.append(children)
            if len(left) == keep + 2:
                kept += (data[start:position], _NIL)
        position += size
        while left and left[-1] == 0:
            left.pop()
            if len(left) == keep + 1:
                start = position
    return data if left else b"".join((*kept, data[start:]))


def _msgpack_head(data: bytes, position: int) -> tuple[int, int]:
    """How many bytes until the next value, and how many values are inside this one."""
    mark = data[position]
    if mark < 0x80 or mark >= 0xE0:
        return 1, 0
    if mark < 0x90:
        return 1, 2 * (mark & 0x0F)
    if mark < 0xA0:
        return 1, mark & 0x0F
    if mark < 0xC0:
        return 1 + (mark & 0x1F), 0
    after = position + 1
    if mark in _SIZED:
        width, extra = _SIZED[mark]
        return 1 + width + extra + int.from_bytes(data[after : after + width]), 0
    if mark in _COUNTED:
        width, each = _COUNTED[mark]
        return 1 + width, each * int.from_bytes(data[after : after + width])
    return _FIXED.get(mark, 1), 0

"""Decoding frames that the decoder rejects as a whole although most of their content is good.

Each part that stops the decoder is replaced by a value that decodes but is still invalid. The ordinary checks then
refuse that part alone. Each repair takes linear time and does not recurse. Malformed frames stay malformed. The
patterns repeat single characters only: possessive quantifiers around groups match wrongly before Python 3.11.5, and
plain ones keep memory for every repetition.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from turnwire.protocol.errors import InvalidJson, InvalidMessage, TurnwireError
from turnwire.protocol.messages import Limits
from turnwire.protocol.values import in_words

UNDECODABLE: Final = (ValueError, msgspec.MsgspecError, TypeError, RecursionError)
"""What decoders raise. Before msgspec 0.21, its own errors are not ValueErrors, and a map as a key is a TypeError."""
_MARGIN = 16
"""Levels kept beyond the depth limit, so that the value around a cut is itself too deep."""
_TOKENS_PER_CONTAINER = 2
"""A frame with more strings or escapes than this for each container that it may have is not repaired. Under the default
limit, a repair takes about 10 ms at most."""
_COST_OF_VALUE: Final = 4
"""How many times longer a value of MessagePack takes than a token of JSON."""
_SURROGATE_MARKS: Final = (b"\\ud", b"\\uD")


def decode_salvaging(decoder: Any, data: bytes, limits: Limits, *, text: bool) -> Any:
    """Decode `data`, which is JSON (`text`) or MessagePack. Raises InvalidJson or InvalidMessage.

    A value too deep for the decoder is cut, but stays over the depth limit. A lone surrogate becomes bytes that are
    not UTF-8, which only a `msgspec.Raw` accepts. A frame that would take long to repair is refused whole.
    """
    while True:
        try:
            return decoder.decode(data)
        except UNDECODABLE as error:
            mended = _mended(data, error, limits, text=text)
            if mended == data:
                raise as_turnwire_error(error, limits) from None
            data = mended


def _mended(data: bytes, error: Exception, limits: Limits, *, text: bool) -> bytes:
    most = _TOKENS_PER_CONTAINER * limits.containers or len(data)
    if isinstance(error, RecursionError):
        keep = limits.depth + _MARGIN
        if not text:
            return prune_deep_msgpack(data, keep, most // _COST_OF_VALUE if limits.containers else most)
        return prune_deep_json(data, keep) if data.count(b'"') <= 2 * most else data
    if text and _is_syntax_error(error) and 0 < sum(map(data.count, _SURROGATE_MARKS)) <= most:
        return mark_lone_surrogates(data)
    return data


def is_malformed_json(data: bytes, error: Exception) -> bool:
    """Return whether the decoder met text that is not JSON and cannot be repaired, because there is no surrogate
    in it."""
    return _is_syntax_error(error) and not any(mark in data for mark in _SURROGATE_MARKS)


def _is_syntax_error(error: Exception) -> bool:
    return type(error) is msgspec.DecodeError and not _is_invalid_utf8(error)


def _is_invalid_utf8(error: Exception) -> bool:
    """Return whether the decoder met a string that is not UTF-8. Since msgspec 0.23, that is an error of its own."""
    return isinstance(error, UnicodeDecodeError) or str(error).startswith("Invalid UTF-8")


def as_turnwire_error(error: Exception, limits: Limits) -> TurnwireError:
    """Return InvalidJson for data that is not in the format, and InvalidMessage for data that is not a valid
    message."""
    if isinstance(error, RecursionError):
        return InvalidMessage(f"nested deeper than the limit of {limits.depth} levels")
    if isinstance(error, msgspec.ValidationError):
        text = in_words(str(error))
        return InvalidMessage(text, [text])
    if _is_invalid_utf8(error):
        return InvalidJson("strings must be valid Unicode: UTF-8 without lone surrogates")
    return InvalidJson(f"cannot be decoded: {in_words(str(error))}")


# --- JSON ------------------------------------------------------------------------------------------------------------


_BACKSLASH = rb"\\"
"""An escaped backslash. Without these, every backslash of a JSON text begins an escape."""
_PAIR = rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE = rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
_SURROGATES = re.compile(rb"%s|(%s)" % (_PAIR, _LONE))


def mark_lone_surrogates(data: bytes) -> bytes:
    """Replace every lone surrogate of a JSON text by bytes that are not UTF-8. The length stays the same."""
    marked = bytearray(data)
    for found in _SURROGATES.finditer(data.replace(_BACKSLASH, b"  ")):
        if found[1]:
            marked[found.start() : found.end()] = b"\xff" * 6
    return bytes(marked)


_BRACKETS = re.compile(rb'"[^"]*"?|[\[\]{}]')
"""A string without escaped quotes, or a bracket outside strings."""


def prune_deep_json(data: bytes, keep: int) -> bytes:
    """Replace every container below `keep` levels of a JSON text by a `0`. The length stays the same."""
    kept: list[bytes] = []
    depth = start = 0
    for token in _BRACKETS.finditer(data.replace(_BACKSLASH, b"  ").replace(b'\\"', b"  ")):
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


# --- MessagePack -----------------------------------------------------------------------------------------------------


_NIL = b"\xc0"
_SINGLE_BYTES = re.compile(rb"[\x00-\x80\x90\xa0\xc0\xc2\xc3\xe0-\xff]*")
"""Values of one byte each: small integers, constants, and empty strings and containers."""
_FIXED = {
    0xCA: 5, 0xCB: 9,  # float
    0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9,  # unsigned
    0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9,  # signed
    0xD4: 3, 0xD5: 4, 0xD6: 6, 0xD7: 10, 0xD8: 18,  # fixext
}  # fmt: skip
"""Values of fixed size: first byte → bytes in all."""
_SIZED = {
    0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0),  # bin
    0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1),  # ext
    0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0),  # str
}  # fmt: skip
"""Values of variable size: first byte → bytes of the size field, and bytes between it and the content."""
_COUNTED = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
"""Arrays and maps: first byte → bytes of the count, and values for each item."""


def prune_deep_msgpack(data: bytes, keep: int, most: int | None = None) -> bytes:
    """Replace every non-empty container below `keep` levels of a MessagePack value by nil.

    Return the value unchanged if more than `most` of the values in it take more than one byte.
    """
    kept: list[bytes] = []
    start = position = 0
    left = [1]
    """Values still to come: first of the frame itself, then of each open container."""
    heads = 0
    while left and position < len(data):
        after = _SINGLE_BYTES.match(data, position, position + left[-1]).end()  # type: ignore[union-attr] # always
        if after > position:
            left[-1] -= after - position
            position = after
        else:
            heads += 1
            if most is not None and heads > most:
                return data
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
    """Return how many bytes come before the next value, and how many values this one contains."""
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

"""JSON values that can be stored and read back exactly, and what is wrong with the others.

Three checks give the same answer, which property tests verify. msgspec checks `PlainObject` while it decodes: almost
free, but for ordinary values only. `is_storable` decides for any value. `fault_of` says where the fault is, and why.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import msgspec
from msgspec import Meta
from msgspec.msgpack import Ext

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_FLOAT_MAX = 1.7976931348623157e308
PLAIN_DEPTH = 6
"""Maximum number of levels in a `PlainObject`, counting the object itself."""
_PATH_CHARS = 100
_KEY_CHARS = 32

JsonObject = dict[str, Any]


def _plain_value(levels: int) -> Any:
    """Return a msgspec type for storable values of at most `levels` levels of containers."""
    integer = Annotated[int, Meta(ge=INT64_MIN, le=INT64_MAX)]
    number = Annotated[float, Meta(ge=-_FLOAT_MAX, le=_FLOAT_MAX)]  # NaN is neither
    scalar = None | bool | str | integer | number
    value: Any = scalar
    for _ in range(levels):
        value = scalar | list[value] | dict[str, value]
    return value


if TYPE_CHECKING:
    PlainObject = JsonObject
else:
    PlainObject = dict[str, _plain_value(PLAIN_DEPTH - 1)]
"""A value of this type is storable, unless a key contains NUL or an object has both `$ref` and `$id`."""

_plain_decoder = msgspec.json.Decoder(PlainObject)
_encode = msgspec.json.Encoder(enc_hook=int).encode  # a driver's Int64 is encoded as an int

NUL, DOLLAR, _BACKSLASH = b"\0$\\"  # as integers, which `in` finds several times faster than bytes of length 1
_TELLING_ESCAPES = re.compile(rb"\\u00(?:00|24|6|72)")
"""Escapes of NUL, and of the letters of `$ref`."""


def may_hide_fault(text: bytes) -> bool:
    """Return whether a JSON text may have a key that contains NUL, or a key `$ref`."""
    if DOLLAR in text and text.find(b"$ref") >= 0:
        return True
    return _BACKSLASH in text and _TELLING_ESCAPES.search(text) is not None


def plain_text(value: JsonObject, max_depth: int) -> bytes | None:
    """Return the JSON text of an ordinary storable object. None for any other, which may be storable or not.

    Takes a quarter of the time of `is_storable`. `value` must have been decoded from JSON: it has no infinite numbers.
    """
    try:
        text = _encode(value)
        _plain_decoder.decode(text)
    except (msgspec.MsgspecError, OverflowError, TypeError, ValueError, RecursionError):
        return None
    return None if max_depth < PLAIN_DEPTH or may_hide_fault(text) else text


def object_fault(value: JsonObject, max_depth: int) -> str | None:
    """Return why a decoded JSON object cannot be stored and read back exactly, or None if it can.

    The text starts with the path of the offending value, as in `.a[3]: …`. The object itself is depth 1.
    """
    return None if is_storable(value, max_depth) else fault_of(value, max_depth)


def is_storable(value: JsonObject, max_depth: int) -> bool:
    """Return whether a decoded JSON object can be stored and read back exactly. The object itself is at depth 1."""
    stack: list[tuple[Any, int]] = [(value, 1)]
    while stack:
        container, depth = stack.pop()
        if depth > max_depth:
            return False
        items = container
        if type(container) is dict:
            if not _has_storable_keys(container):
                return False
            items = container.values()
        for item in items:
            kind = type(item)
            if kind is str:
                continue
            if kind is int:
                if not INT64_MIN <= item <= INT64_MAX:
                    return False
            elif kind is float:
                if not -_FLOAT_MAX <= item <= _FLOAT_MAX:
                    return False
            elif kind is dict or kind is list:
                stack.append((item, depth + 1))
            elif kind is not bool and item is not None:
                return False
    return True


def _has_storable_keys(container: dict[Any, Any]) -> bool:
    try:
        return "\0" not in "".join(container) and not ("$ref" in container and "$id" in container)
    except TypeError:  # a key is not a string
        return False


_Path = tuple["_Path", str | int] | None
"""The keys and indices that lead to a value, the last one first."""


def fault_of(value: JsonObject, max_depth: int) -> str:
    """Return what is wrong with an object that is not storable.

    The text starts with the path of the offending value, as in `.a[3]: …`.
    """
    stack: list[tuple[Any, int, _Path]] = [(value, 1, None)]
    while stack:
        container, depth, path = stack.pop()
        if depth > max_depth:
            return f": nested deeper than the limit of {max_depth} levels"
        is_object = type(container) is dict
        fault = _key_fault(container) if is_object else None
        if fault is not None:
            return f"{_written(path)}: {fault}"
        for step, item in container.items() if is_object else enumerate(container):
            if type(item) is dict or type(item) is list:
                stack.append((item, depth + 1, (path, step)))
            else:
                fault = _scalar_fault(item)
                if fault is not None:
                    return f"{_written((path, step))}: {fault}"
    raise AssertionError("the object is storable")


def _key_fault(container: dict[Any, Any]) -> str | None:
    for key in container:
        if type(key) is not str:
            return f"keys must be strings, found {kind_of(key)}"
        if "\0" in key:
            return "a key must not contain the NUL character"
    if "$ref" in container and "$id" in container:
        return "an object with both '$ref' and '$id' cannot be stored (a MongoDB database reference)"
    return None


def _scalar_fault(item: object) -> str | None:
    if item is None or type(item) is str or type(item) is bool:
        return None
    if type(item) is int:
        return None if INT64_MIN <= item <= INT64_MAX else "an integer must fit in 64 bits, signed (int64)"
    if type(item) is float:
        return None if math.isfinite(item) else "a number must be finite"
    return f"{kind_of(item)} is not a JSON value"


def _written(path: _Path) -> str:
    parts: list[str] = []
    while path is not None:
        path, step = path
        parts.append(f"[{step}]" if isinstance(step, int) else "." + _shortened(step, _KEY_CHARS))
    return _shortened("".join(reversed(parts)), _PATH_CHARS)


def _shortened(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 1] + "…"


# --- large objects ----------------------------------------------------------------------------------------------------


LARGE: Final = 4096
"""An object of at least this many bytes of JSON is packed."""


class PackedObject:
    """A large JSON object, kept as its JSON text.

    Decoded, 60 KB of small values take 20 times the memory, all of which the garbage collector visits. Code that only
    passes a JsonObject on may get this instead: the encoders of `protocol.codec` copy it. Code that reads the object
    calls `unpacked`.
    """

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return unpacked(self) == (unpacked(other) if type(other) is PackedObject else other)

    __hash__ = None  # type: ignore[assignment] # as a dict has none


def is_packed(value: object) -> bool:
    return type(value) is PackedObject


def packed(value: JsonObject, text: bytes | None = None) -> JsonObject:
    """Return the object, packed if it is large. `text`: its JSON text, if that is known."""
    if is_packed(value) or not value:
        return value
    if text is None:
        text = _encode(value)
    return value if len(text) < LARGE else cast("JsonObject", PackedObject(text))


def unpacked(value: JsonObject | PackedObject) -> JsonObject:
    """Return the object decoded: if it was packed, another one each time."""
    return cast("JsonObject", msgspec.json.decode(value.text)) if isinstance(value, PackedObject) else value


def json_text(value: JsonObject | PackedObject) -> bytes:
    """Return the JSON text of an object, which may be packed."""
    return value.text if isinstance(value, PackedObject) else _encode(value)


# --- kinds of values in words that a client of any language knows, instead of the names that Python has for them ------


_BINARY: Final = "binary data"
_WANTED: Final = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
    "None": "null",
    "object": "an object",
    "array": "an array",
    "datetime": "a time",
    "bytes": _BINARY,
    "ext": "an extension value",
}
"""What msgspec calls the kinds of values that it expects, between backquotes."""
_GOT: Final = {**_WANTED, "float": "a number with a point", "bool": "a boolean"}
_KINDS: Final = re.compile(r"(Expected|got) `([A-Za-z]+(?: \| [A-Za-z]+)*)`")
_KINDS_OF: Final[dict[type, str]] = {
    type(None): "null",
    bool: _GOT["bool"],
    int: _GOT["int"],
    float: _GOT["float"],
    str: _GOT["str"],
    bytes: _BINARY,
    datetime: "a time",
    list: _GOT["array"],
    tuple: _GOT["array"],
    dict: _GOT["object"],
}


def in_words(text: str) -> str:
    """Return msgspec's complaint about a value in plain words, as in "Expected an integer or null, got a string - at
    `$.ttlMs`"."""
    return _KINDS.sub(_in_words, text)


def _in_words(found: re.Match[str]) -> str:
    names = _WANTED if found[1] == "Expected" else _GOT
    kinds = [names.get(kind, kind) for kind in found[2].split(" | ")]
    return f"{found[1]} {' or '.join(kinds)}"


def kind_of(value: object) -> str:
    """Return the kind of a value that a decoder has made or a bot has given. Kinds beyond JSON's are called
    extensions."""
    known = _KINDS_OF.get(type(value))
    if known is not None:
        return known
    return _WANTED["ext"] if isinstance(value, Ext) else f"a value of the type {type(value).__name__}"

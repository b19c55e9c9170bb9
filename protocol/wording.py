"""Kinds of values in words that a client of any language knows, instead of the names that Python has for them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

_BINARY: Final = "binary data"
_WANTED: Final = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
    "object": "an object",
    "array": "an array",
    "datetime": "a time",
    "bytes": _BINARY,
    "ext": "an extension value",
}
"""What msgspec calls the kinds of values it wants, between backquotes."""
_GOT: Final = {**_WANTED, "float": "a number with a point", "bool": "a boolean"}
_KINDS: Final = re.compile(r"(Expected|got) `([a-z]+(?: \| [a-z]+)*)`")
_KINDS_OF: Final[dict[type, str]] = {
    type(None): "null",
    bool: _GOT["bool"],
    int: _GOT["int"],
    float: _GOT["float"],
    str: _GOT["str"],
    bytes: _BINARY,
    datetime: "a time",
    list: _GOT["array"],
    dict: _GOT["object"],
}


def in_words(text: str) -> str:
    """What msgspec says of a value, as in "Expected an integer or null, got a string - at `$.ttlMs`"."""
    return _KINDS.sub(_in_words, text)


def _in_words(found: re.Match[str]) -> str:
    names = _WANTED if found[1] == "Expected" else _GOT
    kinds = [names.get(kind, kind) for kind in found[2].split(" | ")]
    return f"{found[1]} {' or '.join(kinds)}"


def kind_of(value: object) -> str:
    """What kind of value a decoder has made; what is none of JSON's comes from MessagePack."""
    return _KINDS_OF.get(type(value), "an extension value")

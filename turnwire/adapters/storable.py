"""Converting any Python value, such as a tool's arguments or result, to JSON that the gateway accepts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from enum import Enum
from typing import Any

from turnwire.protocol.messages import JsonObject
from turnwire.protocol.values import INT64_MAX, INT64_MIN
from turnwire.publishing.call import check_metadata

MAX_LEVELS = 16
MAX_CHARS = 20_000
"""Maximum number of characters in one text. A payload holds a few texts, and the gateway accepts 128 KiB per event."""
MAX_ITEMS = 200
"""Maximum number of items in one list or object."""
BUDGET = 60_000
"""Maximum number of bytes in all texts of one payload. Each value counts as a few bytes, too."""


def fields(**facts: Any) -> JsonObject:
    """Return a payload of the given facts. None is left out; any other value is made storable."""
    spent = _Spent()
    return {name: spent.stored(value, 1) for name, value in facts.items() if value is not None}


def metadata_of(facts: Mapping[str, Any]) -> JsonObject:
    """Return metadata as they are if a gateway accepts them; otherwise make them storable: no call fails for them."""
    try:
        check_metadata(facts)
    except ValueError:
        made: JsonObject = fields(metadata=facts)["metadata"]
        return made
    return dict(facts)


class _Spent:
    """The conversion of one payload, with the budget that keeps it small."""

    def __init__(self) -> None:
        self._left = BUDGET

    def stored(self, value: object, level: int) -> Any:
        self._left -= 8
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, Enum):
            return self.stored(value.value, level)
        if isinstance(value, int):
            return int(value) if INT64_MIN <= value <= INT64_MAX else str(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else str(value)
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, bytes | bytearray | memoryview):
            return f"<{len(value)} bytes>"
        if level >= MAX_LEVELS or self._left <= 0:
            return "…"
        return self._container(value, level)

    def _container(self, value: object, level: int) -> Any:
        if isinstance(value, Mapping):
            return self._object(value, level)
        if isinstance(value, Sequence | Set):
            return [self.stored(item, level + 1) for item, _ in zip(value, range(MAX_ITEMS), strict=False)]
        dump = getattr(value, "model_dump", None)  # a pydantic model
        if callable(dump):
            try:
                return self.stored(dump(mode="json"), level)
            except Exception:  # whatever the user's model raises, the call goes on
                return self._described(value)
        return self._described(value)

    def _object(self, value: Mapping[Any, Any], level: int) -> JsonObject:
        result: JsonObject = {}
        for key, item in value.items():
            if len(result) >= MAX_ITEMS:
                break
            result[self._text(str(key)).replace("\0", "")] = self.stored(item, level + 1)
        if "$ref" in result and "$id" in result:  # MongoDB would read it as a reference
            result["ref"] = result.pop("$ref")
        return result

    def _text(self, text: str) -> str:
        """Return the text without lone surrogates, cut to the remaining budget."""
        encoded = text[:MAX_CHARS].encode("utf-8", "replace")[: max(0, self._left)]
        self._left -= len(encoded)
        kept = encoded.decode("utf-8", "ignore")
        return kept + "…" if len(kept) < len(text) else kept

    def _described(self, value: object) -> str:
        try:
            return self._text(str(value))
        except Exception:  # the user's __str__ failed
            return f"<{type(value).__name__}>"

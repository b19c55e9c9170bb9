"""Summing the usage of models in a conversation, by kind, provider and model."""

from __future__ import annotations

import math
from typing import Any

from msgspec.structs import replace

from turnwire.protocol.figures import Usage
from turnwire.protocol.messages import JsonObject

MAX_MODELS = 50
"""Maximum number of models with their own sum. All others share one sum without names."""
_NAME_CHARS = 100
_MOST = 10**15
_SUMMED = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "audioSeconds": "audio_seconds",
    "characters": "characters",
}

_Key = tuple[str | None, str | None, str | None]


class UsageSums:
    """The sums over `usage` events, each of which reports the usage since the one before."""

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        self._sums: dict[_Key, Usage] | None = None

    def copy(self) -> UsageSums:
        """Return a copy that later events do not change."""
        made = UsageSums()
        made._sums = None if self._sums is None else {key: replace(usage) for key, usage in self._sums.items()}
        return made

    def take(self, payload: JsonObject) -> None:
        if self._sums is None:
            self._sums = {}
        key: _Key = (_name(payload, "kind"), _name(payload, "provider"), _name(payload, "model"))
        if key not in self._sums and len(self._sums) >= MAX_MODELS:
            key = (None, None, None)
        usage = self._sums.setdefault(key, Usage(*key))
        for told, kept in _SUMMED.items():
            setattr(usage, kept, getattr(usage, kept) + (_amount(payload.get(told)) or 0))
        cost = _amount(payload.get("cost"))
        if cost is not None:
            usage.cost = (usage.cost or 0) + cost

    def sums(self) -> list[Usage]:
        """Return the sums, in the order in which the models were first used."""
        return [] if self._sums is None else [_rounded(usage) for usage in self._sums.values()]


def _rounded(usage: Usage) -> Usage:
    """Return a copy rounded to 6 digits, without the noise of summed fractions."""
    made = replace(usage)
    for field in (*_SUMMED.values(), "cost"):
        value = getattr(made, field)
        if isinstance(value, float):
            setattr(made, field, round(value, 6))
    return made


def _name(payload: JsonObject, field: str) -> str | None:
    value = payload.get(field)
    return value[:_NAME_CHARS] if isinstance(value, str) else None


def _amount(value: Any) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) and 0 <= value <= _MOST else None

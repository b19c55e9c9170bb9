"""What models have used in a conversation, summed by kind, provider and model."""

from __future__ import annotations

import math
from typing import Any

from turnwire.protocol.figures import Usage
from turnwire.protocol.messages import JsonObject

MAX_MODELS = 50
"""Sums of different models kept; what is used of others beyond them is one sum without names."""
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
    """Takes `usage` events; each says what was used since the one before."""

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        self._sums: dict[_Key, Usage] | None = None

    def copy(self) -> UsageSums:
        """One that stays as it is now."""
        made = UsageSums()
        made._sums = None if self._sums is None else {key: _copy(usage) for key, usage in self._sums.items()}
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
        """In the order the models were first used."""
        return [] if self._sums is None else [_rounded(usage) for usage in self._sums.values()]


def _copy(usage: Usage) -> Usage:
    return Usage(
        usage.kind,
        usage.provider,
        usage.model,
        usage.input_tokens,
        usage.output_tokens,
        usage.audio_seconds,
        usage.characters,
        usage.cost,
    )


def _rounded(usage: Usage) -> Usage:
    """Without the noise that sums of fractions have."""
    made = _copy(usage)
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

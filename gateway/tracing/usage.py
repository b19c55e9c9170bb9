"""The models' use of tokens in a turn, as attributes."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from turnwire.gateway.tracing.shapes import Value
from turnwire.protocol.messages import JsonObject

_TOKENS = {"inputTokens": "gen_ai.usage.input_tokens", "outputTokens": "gen_ai.usage.output_tokens"}
_NAMES = {"provider": "gen_ai.provider.name", "model": "gen_ai.request.model"}


class Used(Struct):
    """One `usage` event: when it came, in milliseconds of the call, and what it says."""

    offset: int
    payload: JsonObject


def add_usage(attributes: dict[str, Value], payload: JsonObject) -> None:
    """Add the tokens of a `usage` event to a span's attributes. The last event that counts tokens names the model."""
    counts = {name: count for told, name in _TOKENS.items() if (count := _count(payload.get(told))) is not None}
    for name, count in counts.items():
        before = attributes.get(name, 0)
        attributes[name] = count + (before if isinstance(before, int) else 0)
    if counts:
        attributes |= {name: value for told, name in _NAMES.items() if isinstance(value := payload.get(told), str)}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15 else None

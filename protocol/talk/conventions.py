"""Reading payloads by the conventions of docs/events.md. A value that does not follow them counts as absent."""

from __future__ import annotations

from typing import Any

from turnwire.protocol.messages import JsonObject
from turnwire.protocol.talk.utterances import Side
from turnwire.protocol.times import parse_time, to_millis

LINE_CHARS = 200
"""The most characters of a summary's last line."""
ASIDES = {"backchannel"}
"""Sources of speech that takes no turn."""
UNSPOKEN = {"chat", "dtmf", "noise"}
"""Sources of text that nobody spoke."""
_NO_SIDE = {"supervisor", "hangup"}
"""Values of who cut an utterance short that are neither side of the conversation."""
_LATEST_MS = 10**12


def cutter(payload: JsonObject, field: str, default: Side) -> Side | None:
    """Return which side cut the other short, or None if it was neither side. `default` stands for any other value."""
    by = payload.get(field)
    if by == "user" or by == "bot":
        return "user" if by == "user" else "bot"
    return None if isinstance(by, str) and by in _NO_SIDE else default


def millis(value: Any) -> int | None:
    """Return a time of the call rounded to whole milliseconds, or None for a value that is no such time."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST_MS:
        return None
    return round(value)


def turn_of(payload: JsonObject) -> int | None:
    turn = payload.get("turn")
    return turn if isinstance(turn, int) and not isinstance(turn, bool) else None


def shortened(text: str) -> str:
    line = " ".join(text[: LINE_CHARS * 4].split())
    return line if len(line) <= LINE_CHARS else line[: LINE_CHARS - 1] + "…"


def moment(payload: JsonObject, name: str, zero: int | None) -> int | None:
    """Return a time in milliseconds of the call: from `…Ms`, or else from `…At`, a wire time.

    `zero` is the start of the call, in milliseconds since 1970.
    """
    told = millis(payload.get(name + "Ms"))
    if told is not None:
        return told
    at = payload.get(name + "At")
    if not isinstance(at, str) or zero is None:
        return None
    try:
        return millis(max(0, to_millis(parse_time(at)) - zero))
    except ValueError:
        return None

"""Reading payloads by the conventions of docs/events.md. A value that does not follow them counts as absent."""

from __future__ import annotations

from typing import Any

from turnwire.protocol.messages import JsonObject
from turnwire.protocol.talk.utterances import Side, Utterance
from turnwire.protocol.times import parse_time, to_millis

LINE_CHARS = 200
"""Maximum number of characters in a summary's last line."""
SHOWN_CHARS = LINE_CHARS * 4
"""How much of the last utterance is kept for that line. It is short enough to keep for every call."""
ASIDES = {"backchannel"}
"""Sources of speech that takes no turn."""
UNSPOKEN = {"chat", "dtmf", "noise"}
"""Sources of text that nobody spoke."""
_NO_SIDE = {"supervisor", "hangup"}
"""Values of who cut an utterance short that name neither side of the conversation."""
LATEST_MS = 10**12
"""The latest time of a call that counts as one."""


def cutter(payload: JsonObject, field: str, default: Side) -> Side | None:
    """Return which side cut the other short, or None if it was neither side. `default` stands for any other value."""
    by = payload.get(field)
    if by == "user" or by == "bot":
        return "user" if by == "user" else "bot"
    return None if isinstance(by, str) and by in _NO_SIDE else default


def millis(value: Any) -> int | None:
    """Return a time of the call rounded to whole milliseconds, or None for a value that is not such a time."""
    if value is None:
        return None
    if type(value) is int and 0 <= value <= LATEST_MS:  # as most values are
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST_MS:
        return None
    return round(value)


def turn_of(payload: JsonObject) -> int | None:
    turn = payload.get("turn")
    return turn if isinstance(turn, int) and not isinstance(turn, bool) else None


def shortened(text: str) -> str:
    """Return a text on one line, cut to LINE_CHARS."""
    line = " ".join(text.split())
    return line if len(line) <= LINE_CHARS else line[: LINE_CHARS - 1] + "…"


def utterance_of(payload: JsonObject, seq: int, side: Side, offset: int, zero: int | None, *, cut: bool) -> Utterance:
    """Return the utterance that a payload tells of. `offset`: when its event was sent, in milliseconds of the call.
    `zero` is as for `spoken`."""
    start, end = spoken(payload, zero)
    if start is not None and end is not None and end >= start:
        return Utterance(start, seq, end, True, turn_of(payload), cut)
    known = start if side == "bot" else end
    point = offset if known is None else known
    return Utterance(point, seq, point, False, turn_of(payload), cut)


def spoken(payload: JsonObject, zero: int | None) -> tuple[int | None, int | None]:
    """Return when an utterance began and ended, in milliseconds of the call; None for a time that is missing.

    Reads `…Ms`, or else `…At`, a wire time. `zero` is the start of the call, in milliseconds since 1970.
    """
    began, ended = millis(payload.get("startedMs")), millis(payload.get("endedMs"))
    if began is None:
        began = _since(payload.get("startedAt"), zero)
    if ended is None:
        ended = _since(payload.get("endedAt"), zero)
    return began, ended


def _since(at: Any, zero: int | None) -> int | None:
    """Return the milliseconds from `zero` to a wire time, or None for any other value."""
    if not isinstance(at, str) or zero is None:
        return None
    try:
        return millis(max(0, to_millis(parse_time(at)) - zero))
    except ValueError:
        return None

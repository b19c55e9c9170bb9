"""Positions in a stream: the offset of an item is the seq of its event, and cursors keep caches from standing still."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from turnwire.gateway.clock import utc_now

START: Final = "-1"
"""Stands for the start of the stream."""
NOW: Final = "now"
"""Stands for its end, wherever that is."""
_DIGITS: Final = 10
_OFFSET: Final = re.compile(rf"[0-9]{{{_DIGITS}}}", re.ASCII)
_CURSOR: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_CURSORS_BEGIN: Final = datetime(2024, 10, 9, tzinfo=UTC)
_CURSOR_INTERVAL: Final = timedelta(seconds=20)
_MOST_INTERVALS_AHEAD: Final = 180
"""An hour."""


def offset_of(seq: int) -> str:
    """Return the offset behind the event with this seq; 0: the start. Offsets are ordered as their texts are."""
    return f"{seq:0{_DIGITS}}"


def seq_of(offset: str) -> int | None:
    """Return the seq of the last event before this offset; None for what is no offset."""
    if offset == START:
        return 0
    return int(offset) if _OFFSET.fullmatch(offset) else None


def next_cursor(given: str | None, now: datetime | None = None) -> str:
    """Return the cursor for an answer to a request with this cursor. It is larger than the given one, so that no cache
    answers a client with the same empty answer again and again."""
    current = ((now or utc_now()) - _CURSORS_BEGIN) // _CURSOR_INTERVAL
    known = int(given) if given is not None and _CURSOR.fullmatch(given) else -1
    return str(current if known < current else known + random.randint(1, _MOST_INTERVALS_AHEAD))

"""Positions in a stream. The offset of an item is the seq of its event. Cursors keep caches from repeating old
answers."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from turnwire.gateway.clock import utc_now

START: Final = "-1"
"""The offset at the start of the stream."""
NOW: Final = "now"
"""The offset at the end of the stream, wherever that is."""
_DIGITS: Final = 10
_OFFSET: Final = re.compile(rf"[0-9]{{{_DIGITS}}}", re.ASCII)
_CURSOR: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_CURSORS_BEGIN: Final = datetime(2024, 10, 9, tzinfo=UTC)
_CURSOR_INTERVAL: Final = timedelta(seconds=20)
_MOST_INTERVALS_AHEAD: Final = 180
"""One hour."""


def offset_of(seq: int) -> str:
    """Return the offset that follows the event with this seq; 0 gives the start. Offsets sort as strings."""
    return f"{seq:0{_DIGITS}}"


def seq_of(offset: str) -> int | None:
    """Return the seq of the last event before this offset; None if the text is not an offset."""
    if offset == START:
        return 0
    return int(offset) if _OFFSET.fullmatch(offset) else None


def next_cursor(given: str | None, now: datetime | None = None) -> str:
    """Return the cursor for the answer to a request with the `given` cursor. The new cursor is larger, so that no cache
    keeps giving a client the same empty answer."""
    current = ((now or utc_now()) - _CURSORS_BEGIN) // _CURSOR_INTERVAL
    known = int(given) if given is not None and _CURSOR.fullmatch(given) else -1
    return str(current if known < current else known + random.randint(1, _MOST_INTERVALS_AHEAD))

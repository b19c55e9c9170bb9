"""Reads the unended sessions of the embedded database, which serves nobody else during a read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

Document = dict[str, Any]
T = TypeVar("T")
Read = Callable[[Document], Awaitable[Sequence[T]]]

UNENDED: Final = ("initiated", "active")
"""In the order in which a session has them: one that is active a moment after the first read was in that read."""
_FIRST: Final = timedelta(seconds=0.25)
_SHORTEST: Final = timedelta(milliseconds=10)
_USUAL: Final = timedelta(seconds=10)
_AGE_SHARE: Final = 10
"""A window is at most this part of its age, or `_USUAL`, so that it is unlikely to hold many sessions at once."""
_OLDEST: Final = timedelta(days=30)
"""The age from which on all sessions are read together."""
_FEW, _MANY = 100, 400
"""With fewer sessions in a window the next one is longer, with more it is shorter."""
_REST: Final = 2.0
"""The pause after a window, as a multiple of the time that it took."""


async def read_unended(read: Read[T], now: datetime) -> list[T]:
    """Return what `read` finds of the sessions with each status of UNENDED, in windows of their starts, newest first,
    with pauses. `read` takes a condition."""
    loop = asyncio.get_running_loop()
    found: list[T] = []
    bounds: Document = {}
    edge, span = now, _FIRST
    while now - edge < _OLDEST:
        edge -= span
        began = loop.time()
        some = await _all_of(read, {**bounds, "$gte": edge})
        found += some
        bounds = {"$lt": edge}
        if len(some) < _FEW:
            span = min(2 * span, max(_USUAL, (now - edge) / _AGE_SHARE))
        elif len(some) > _MANY:
            span = max(_SHORTEST, span / 2)
        await asyncio.sleep(_REST * (loop.time() - began))
    return found + await _all_of(read, bounds)


async def _all_of(read: Read[T], bounds: Document) -> list[T]:
    return [each for status in UNENDED for each in await read({"status": status, "startedAt": bounds})]

"""Finds the sessions that an endpoint has not been told of, in windows of their start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from turnwire.store.telling.progress import Begun, ProgressStore

_FIRST_SPAN: Final = timedelta(minutes=1)
_SHORTEST_SPAN: Final = timedelta(seconds=1)
_LONGEST_SPAN: Final = timedelta(days=1)
_FEW, _MANY = 100, 400
"""Sessions in a window after which the next one is longer, or shorter."""
_REST: Final = 2.0
"""A window is followed by a pause of so many times its length: others come first."""


async def discover(
    store: ProgressStore, since: datetime, until: datetime, take: Callable[[Begun], bool]
) -> tuple[datetime, bool]:
    """Show `take` the sessions that began from `since` until `until`, until it returns False: there is no more room.

    Return up to when all have been shown, and whether that is all. Windows are bounded by time, because the embedded
    database reads every match of a query before it applies a limit. Raises StorageUnavailable.
    """
    loop = asyncio.get_running_loop()
    span, edge = _FIRST_SPAN, since
    while edge < until:
        upper = min(edge + span, until)
        began = loop.time()
        found = await store.begun(edge, upper)
        for each in sorted(found, key=lambda each: each.started_at):
            if not take(each):
                return each.started_at, False
        if len(found) < _FEW:
            span = min(_LONGEST_SPAN, span * 2)
        elif len(found) > _MANY:
            span = max(_SHORTEST_SPAN, span / 2)
        edge = upper
        if edge < until:
            await asyncio.sleep(_REST * (loop.time() - began))
    return edge, True

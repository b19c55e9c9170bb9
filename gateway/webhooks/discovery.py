"""Finds the sessions that an endpoint has not been told of, in windows of their start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from turnwire.store.telling.progress import Begun, ProgressStore

FIRST_SPAN: Final = timedelta(minutes=1)
_SHORTEST_SPAN: Final = timedelta(seconds=1)
_LONGEST_SPAN: Final = timedelta(days=1)
_FEW, _MANY = 100, 400
"""Sessions in a window after which the next one is longer, or shorter."""
_REST: Final = 2.0
"""A window is followed by a pause of so many times its length: others come first."""
_LONGEST_SECONDS: Final = 5.0
"""How long a search may take before what it has found is told, and what was told is written."""


class Discovered(NamedTuple):
    """How far a search has come."""

    until: datetime
    """All sessions that began before have been shown."""
    whole: bool
    """Whether that is all."""
    span: timedelta | None = None
    """The length of the next window, if it was stopped because it takes long, and not because there is no more room."""


async def discover(
    store: ProgressStore,
    since: datetime,
    until: datetime,
    take: Callable[[Begun], bool],
    span: timedelta = FIRST_SPAN,
) -> Discovered:
    """Show `take` the sessions that began from `since` until `until`, until it returns False: there is no more room.

    Stops after some seconds; call it again with what it has returned. Windows are bounded by time, because the embedded
    database reads every match of a query before it applies a limit. Raises StorageUnavailable.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + _LONGEST_SECONDS
    edge = since
    while edge < until:
        upper = min(edge + span, until)
        began = loop.time()
        found = await store.begun(edge, upper)
        for each in sorted(found, key=lambda each: each.started_at):
            if not take(each):
                return Discovered(each.started_at, whole=False)
        if len(found) < _FEW:
            span = min(_LONGEST_SPAN, span * 2)
        elif len(found) > _MANY:
            span = max(_SHORTEST_SPAN, span / 2)
        edge = upper
        if edge < until:
            if loop.time() >= end:
                return Discovered(edge, whole=False, span=span)
            await asyncio.sleep(_REST * (loop.time() - began))
    return Discovered(edge, whole=True)

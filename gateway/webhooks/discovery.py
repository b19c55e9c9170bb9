"""Finds the sessions that an endpoint has not been told about, in windows of their start times."""

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
"""Bounds on the sessions in a window: with fewer the next window is longer, with more it is shorter."""
_REST: Final = 2.0
"""The pause after a window, as a multiple of the time that it took: other work comes first."""
_LONGEST_SECONDS: Final = 5.0
"""How long a search may take before its results are told and the progress is written, in seconds."""


class Discovered(NamedTuple):
    """How far a search has come."""

    until: datetime
    """All sessions that began before this time have been shown."""
    whole: bool
    """Whether the search has reached its end."""
    span: timedelta | None = None
    """The length of the next window, if the search stopped because of its time limit, and not for lack of room."""


async def discover(
    store: ProgressStore,
    since: datetime,
    until: datetime,
    take: Callable[[Begun], bool],
    span: timedelta = FIRST_SPAN,
) -> Discovered:
    """Show `take` the sessions that began from `since` until `until`, or until it returns False because there is no
    room.

    Stops after some seconds; to go on, call it again with what it has returned. Windows are bounded by time, because
    the embedded database reads every match of a query before it applies a limit. Raises StorageUnavailable.
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

"""Finds where the sessions begin, without an index that can be read from its beginning."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Final

from turnwire.store.listing.windows import EARLIEST, Windows
from turnwire.store.session_record import Document

_SAMPLE: Final = 20
"""The number of sessions whose times show how close together sessions are."""
_LOOK, _EXACT = 3.0, 0.5
"""A look covers the time in which this many samples have begun, and the beginning is found to within such a time."""
_FAR: Final = 4
_ROUNDS: Final = 12
_SHORTEST: Final = timedelta(seconds=1)


async def beginnings(
    windows: Windows, condition: Document, after: datetime | None, before: datetime | None
) -> list[datetime]:
    """Return the start of the first session between these two times that meets the condition, followed by the starts of
    later ones after long gaps, in order.

    Empty if there is none, or if there are too many gaps to find it at little cost. Raises StorageUnavailable.

    Halves the time before a known session again and again, by short looks. A look that finds nothing is taken to mean
    that the sessions begin later. It may have met a gap, such as a night, so the time before the result is searched in
    the same way, until nothing is left.
    """
    found: list[datetime] = []
    for _ in range(_ROUNDS):
        newest = await windows.newest(condition, _SAMPLE, after, before)
        if len(newest) < _SAMPLE:
            return [*(each.started_at for each in newest[-1:]), *reversed(found)]
        pace = max(_SHORTEST, newest[0].started_at - newest[-1].started_at)
        before = await _edge(windows, condition, after or EARLIEST, newest[-1].started_at, pace)
        found.append(before)
    return []


async def _edge(windows: Windows, condition: Document, empty: datetime, known: datetime, pace: timedelta) -> datetime:
    """Return the start of a session that has none for some time before it. One has started at `known`.

    `pace`: the time in which a sample has begun.
    """
    now = known + pace
    while known - empty > pace * _EXACT:
        middle = now - _between(now - known, now - empty)
        end = min(known, middle + pace * _LOOK)
        look = {**condition, "startedAt": {"$gte": middle, "$lt": end}}
        found = await windows.read(look, 1, order=1)
        if found:
            known = found[0].started_at
        else:
            empty = end
    return known


def _between(young: timedelta, old: timedelta) -> timedelta:
    """Return an age between these two. The search first finds the order of magnitude."""
    return young * math.sqrt(old / young) if old > _FAR * young else (young + old) / 2

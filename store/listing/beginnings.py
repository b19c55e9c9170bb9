"""Where the sessions begin, found without an index that could be read from its beginning."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Final

from turnwire.store.listing.windows import EARLIEST, Windows
from turnwire.store.session_record import Document

_SAMPLE: Final = 20
"""Sessions whose times tell how close together sessions are."""
_LOOK, _EXACT = 3.0, 0.5
"""A look spans the time in which so many samples have begun. The beginning is found up to such a time."""
_FAR: Final = 4
_ROUNDS: Final = 12
_SHORTEST: Final = timedelta(seconds=1)


async def beginnings(
    windows: Windows, condition: Document, after: datetime | None, before: datetime | None
) -> list[datetime]:
    """Return when the first session between these two times has started that meets the condition, and then the starts
    of later ones behind long gaps, in their order.

    Empty if there are none, or if that cannot be told at little cost: there are too many gaps. Raises
    StorageUnavailable.

    Halves the time before a known session again and again, by short looks: where one finds nothing, the sessions are
    taken to begin later. That may be a gap, such as a night. So what lies before the result is searched in the same
    way, until nothing does.
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
    """Return the start of a session, before which there is none for some time. One has started at `known`.

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
    """Return an age between these two: first the order of magnitude is sought."""
    return young * math.sqrt(old / young) if old > _FAR * young else (young + old) / 2

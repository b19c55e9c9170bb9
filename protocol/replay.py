"""Joining a replay with the live stream: what of a run of events is new behind a cursor, or the gap before it."""

from __future__ import annotations

from collections.abc import Sequence

from turnwire.protocol.messages import Event


class Gap(Exception):
    """A run of events does not follow the cursor: `after_seq + 1 … first - 1` are missing between them."""

    def __init__(self, after_seq: int, first: int) -> None:
        super().__init__(f"events {after_seq + 1} to {first - 1} are missing")
        self.after_seq = after_seq
        self.first = first


def overlap(after_seq: int, first: int, last: int) -> int:
    """How many of the events `first … last` a reader at cursor `after_seq` has already.

    What is left after skipping that many starts at `after_seq + 1`, or is empty. Raises Gap when some are missing.
    """
    if first > after_seq + 1:
        raise Gap(after_seq, first)
    return min(after_seq, last) - first + 1


def merge(history: Sequence[Event], live: Sequence[Event], after_seq: int) -> list[Event]:
    """The events after `after_seq` of both runs, each once, in order; both runs are consecutive within themselves.

    `live` may overlap the end of `history`, or start where it ends. Raises Gap when it starts later, or when `history`
    does not reach back to the cursor.
    """
    merged: list[Event] = []
    for run in (history, live):
        if run:
            cursor = merged[-1].seq if merged else after_seq
            merged.extend(run[overlap(cursor, run[0].seq, run[-1].seq) :])
    return merged

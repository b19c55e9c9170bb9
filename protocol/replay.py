"""Joins a replay with the live stream: which events of a run are new to a cursor, and whether events are missing."""

from __future__ import annotations


class Gap(Exception):
    """Events `after_seq + 1 … first - 1` are missing between a cursor and a run of events."""

    def __init__(self, after_seq: int, first: int) -> None:
        super().__init__(f"events {after_seq + 1} to {first - 1} are missing")
        self.after_seq = after_seq
        self.first = first


def overlap(after_seq: int, first: int, last: int) -> int:
    """Return how many of the events `first … last` a reader at cursor `after_seq` already has.

    The rest starts at `after_seq + 1`, or is empty. Raises Gap if events are missing.
    """
    if first > after_seq + 1:
        raise Gap(after_seq, first)
    return min(after_seq, last) - first + 1

"""Joining a replay with the live stream."""

from __future__ import annotations

import pytest

from turnwire.protocol.messages import Event
from turnwire.protocol.replay import Gap, merge, overlap


def run(first: int, last: int) -> list[Event]:
    return [Event(f"e{seq}", "s", "system", {}, "2025-12-21T10:30:00.000Z", seq) for seq in range(first, last + 1)]


def seqs(events: list[Event]) -> list[int]:
    return [event.seq for event in events]


@pytest.mark.parametrize(
    ("after_seq", "first", "last", "skipped"),
    [(0, 1, 5, 0), (3, 4, 9, 0), (3, 1, 5, 3), (5, 1, 5, 5), (9, 1, 5, 5), (9, 5, 5, 1)],
)
def test_events_the_reader_already_has_are_skipped(after_seq: int, first: int, last: int, skipped: int) -> None:
    assert overlap(after_seq, first, last) == skipped


@pytest.mark.parametrize(("after_seq", "first"), [(0, 2), (3, 5), (3, 100)])
def test_a_gap_in_the_live_events_is_named(after_seq: int, first: int) -> None:
    with pytest.raises(Gap, match=f"events {after_seq + 1} to {first - 1} are missing") as caught:
        overlap(after_seq, first, first + 5)
    assert (caught.value.after_seq, caught.value.first) == (after_seq, first)


def test_history_and_live_events_join_without_gap_or_repeat() -> None:
    assert seqs(merge(run(1, 5), run(6, 8), 0)) == list(range(1, 9))
    assert seqs(merge(run(1, 5), run(3, 8), 2)) == list(range(3, 9))
    assert seqs(merge(run(1, 9), run(3, 8), 0)) == list(range(1, 10))
    assert seqs(merge(run(1, 5), run(2, 8), 6)) == [7, 8]


def test_history_or_live_events_may_be_empty() -> None:
    assert merge([], [], 7) == []
    assert seqs(merge(run(1, 3), [], 1)) == [2, 3]
    assert seqs(merge([], run(1, 3), 1)) == [2, 3]


def test_a_gap_before_history_or_live_events_is_named() -> None:
    with pytest.raises(Gap, match="events 1 to 1 are"):
        merge(run(2, 3), run(4, 5), 0)
    with pytest.raises(Gap, match="events 4 to 5 are"):
        merge(run(1, 3), run(6, 7), 0)
    with pytest.raises(Gap, match="events 4 to 6 are"):
        merge([], run(7, 7), 3)

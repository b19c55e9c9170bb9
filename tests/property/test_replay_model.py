"""A reader of overlapping runs gets every event once, in order, or is told of the gap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property.wire_values import search
from turnwire.protocol.replay import Gap, overlap

pytestmark = pytest.mark.property


def run(first: int, more: int) -> list[int]:
    """Return the seqs first … first + more."""
    return list(range(first, first + more + 1))


def reading(cursor: int, events: list[int]) -> list[int] | tuple[int, int]:
    """The model: go through all events and take the next ones. Return (cursor, first) at a gap."""
    taken: list[int] = []
    for seq in events:
        if seq == cursor + 1:
            cursor = seq
            taken.append(cursor)
        elif seq > cursor:
            return cursor, seq
    return taken


@search(400)
@given(span=st.tuples(st.integers(1, 12), st.integers(0, 6)), after_seq=st.integers(0, 14))
def test_events_behind_the_overlap_come_next_or_the_gap_is_named(span: tuple[int, int], after_seq: int) -> None:
    events = run(*span)
    expected = reading(after_seq, events)
    if isinstance(expected, tuple):
        with pytest.raises(Gap) as caught:
            overlap(after_seq, events[0], events[-1])
        assert (caught.value.after_seq, caught.value.first) == expected
    else:
        assert events[overlap(after_seq, events[0], events[-1]) :] == expected


@search(200)
@given(windows=st.lists(st.tuples(st.integers(1, 20), st.integers(0, 5)), max_size=12))
def test_a_reader_of_any_windows_never_sees_a_hole_or_a_repetition(windows: list[tuple[int, int]]) -> None:
    cursor, seen = 0, []
    for window in windows:
        events = run(*window)
        try:
            new = events[overlap(cursor, events[0], events[-1]) :]
        except Gap as gap:
            new = run(gap.after_seq + 1, events[-1] - gap.after_seq - 1)  # what a reader fetches next
        seen += new
        cursor = seen[-1] if seen else 0
    assert seen == list(range(1, cursor + 1))
    assert cursor == max((first + more for first, more in windows), default=0)

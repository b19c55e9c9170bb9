"""A reader that joins history and live runs gets every event once, in order, or is told of the gap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property.wire_values import search
from turnwire.protocol.messages import Event
from turnwire.protocol.replay import Gap, merge, overlap

pytestmark = pytest.mark.property
spans = st.none() | st.tuples(st.integers(1, 12), st.integers(0, 6))


def run(span: tuple[int, int] | None) -> list[Event]:
    """The events first … first + more; none for None."""
    if span is None:
        return []
    first, more = span
    return [Event(f"e{seq}", "s", "system", {}, "", seq) for seq in range(first, first + more + 1)]


def reading(cursor: int, *runs: list[Event]) -> list[int] | tuple[int, int]:
    """The model: go through all there is and take what comes next; (cursor, first) at a gap."""
    taken: list[int] = []
    for events in runs:
        for event in events:
            if event.seq == cursor + 1:
                cursor = event.seq
                taken.append(cursor)
            elif event.seq > cursor:
                return cursor, event.seq
    return taken


@search(400)
@given(history=spans, live=spans, after_seq=st.integers(0, 14))
def test_merging_history_and_live_events_gives_the_next_ones_or_names_the_gap(
    history: tuple[int, int] | None, live: tuple[int, int] | None, after_seq: int
) -> None:
    expected = reading(after_seq, run(history), run(live))
    if isinstance(expected, tuple):
        with pytest.raises(Gap) as caught:
            merge(run(history), run(live), after_seq)
        assert (caught.value.after_seq, caught.value.first) == expected
    else:
        assert [event.seq for event in merge(run(history), run(live), after_seq)] == expected


@search(200)
@given(windows=st.lists(st.tuples(st.integers(1, 20), st.integers(0, 5)), max_size=12))
def test_a_reader_of_any_windows_never_sees_a_hole_or_a_repetition(windows: list[tuple[int, int]]) -> None:
    cursor, seen = 0, []
    for window in windows:
        events = run(window)
        try:
            new = events[overlap(cursor, events[0].seq, events[-1].seq) :]
        except Gap as gap:
            new = run((gap.after_seq + 1, events[-1].seq - gap.after_seq - 1))  # what a reader then fetches
        seen += [event.seq for event in new]
        cursor = seen[-1] if seen else 0
    assert seen == list(range(1, cursor + 1))
    assert cursor == max((first + more for first, more in windows), default=0)

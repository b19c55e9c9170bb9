"""Joining stored history with the live stream."""

from __future__ import annotations

import pytest

from turnwire.protocol.replay import Gap, overlap


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

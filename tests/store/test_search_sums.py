"""Sums over sessions: the figures of each group, and what is left off when there are too many groups."""

from __future__ import annotations

from random import Random

from turnwire.protocol.figures import percentile
from turnwire.store.search.sums import MAX_GROUPS, Row, summed


def test_percentiles_of_groups_and_of_all_are_nearest_ranks_of_the_sessions_that_have_any() -> None:
    random = Random(3)
    values = [random.choice((None, *range(20))) for _ in range(301)]
    rows: list[Row] = [(f"k{at % 7}", "completed", 1, each, each, 0, 0, 0, 0) for at, each in enumerate(values)]
    found = summed(rows, "language")
    for group in (*found.groups, found.total):
        at = None if group.key is None else int(group.key[1:])
        known = sorted(each for n, each in enumerate(values) if each is not None and at in (None, n % 7))
        assert (group.response_p50_ms, group.response_p95_ms) == (percentile(known, 0.5), percentile(known, 0.95))
    assert summed([("k", "failed", *[None] * 7)], "language").total.response_p95_ms is None


def test_the_largest_groups_are_listed_and_the_total_is_over_all_of_them() -> None:
    rows: list[Row] = [(f"k{n:03}", "failed", 2, 5, 5, 1, 1, 1, 1) for n in range(250)]
    found = summed([*rows, ("k249", "completed", 2, 5, 5, 1, 1, 1, 1)], "metadata")
    assert [group.key for group in found.groups[:3]] == ["k249", "k000", "k001"]
    assert (len(found.groups), found.left_off) == (MAX_GROUPS, 50)
    assert (found.total.calls, found.total.failed, found.total.talk_ms, found.total.errors) == (251, 250, 502, 251)

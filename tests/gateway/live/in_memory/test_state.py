"""A session as data: what it knows, and what it learns from the store, which never reverts a field."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.in_memory import STARTED, Seat, event, record
from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.messages import Event


def state_of(**fields: Any) -> SessionState:
    return SessionState(record(**fields), now=100.0)


@pytest.mark.parametrize(
    ("here", "stored", "behind"),
    [
        ({}, {}, False),
        ({"last_seq": 3}, {"last_seq": 2}, False),
        ({"last_seq": 3}, {"last_seq": 4}, True),
        ({"epoch": 1}, {"epoch": 2}, True),
        ({"epoch": 2}, {"epoch": 1}, False),
        ({}, {"status": "failed"}, True),
        ({"status": "completed"}, {"status": "failed"}, False),
        ({}, {"time_ordered": False}, True),
        ({"time_ordered": False}, {}, False),
        ({"status": "active"}, {"status": "initiated"}, False),
        ({}, {"heartbeat": 3}, False),
    ],
)
def test_a_session_is_behind_when_the_store_knows_more(
    here: dict[str, Any], stored: dict[str, Any], behind: bool
) -> None:
    assert state_of(**here).is_behind(record(**stored)) is behind


@pytest.mark.parametrize(
    ("fields", "published", "deserted"),
    [
        ({}, False, False),
        ({"epoch": 1}, False, True),
        ({"epoch": 1}, True, False),
        ({"epoch": 1, "status": "failed"}, False, False),
    ],
)
def test_a_session_is_deserted_when_its_publisher_has_left_and_it_is_still_open(
    fields: dict[str, Any], published: bool, deserted: bool
) -> None:
    state = state_of(**fields)
    state.publisher = Seat(1) if published else None
    assert state.deserted is deserted


def test_a_sender_is_fenced_by_a_newer_epoch_or_its_own_end_and_rest_never_is() -> None:
    state = state_of(epoch=2)
    done = Seat(2)
    done.finished = True
    assert [state.is_fenced(each) for each in (Seat(1), Seat(2), done, None)] == [True, False, True, False]


def test_learning_from_the_store_never_reverts_a_field() -> None:
    state = state_of(heartbeat=5, time_ordered=False)
    state.learn(record(heartbeat=3), now=200.0)
    assert (state.record.heartbeat, state.record.time_ordered) == (5, False)
    state.learn(record(heartbeat=6, time_ordered=True), now=200.0)
    assert (state.record.heartbeat, state.record.time_ordered) == (6, False)


@pytest.mark.parametrize(
    ("stored", "seen"), [({"heartbeat": 1}, True), ({"epoch": 2}, True), ({"last_seq": 9}, False), ({}, False)]
)
def test_a_publisher_at_another_gateway_shows_by_epoch_and_heartbeat(stored: dict[str, Any], seen: bool) -> None:
    state = state_of(epoch=1)
    state.learn(record(**{"epoch": 1, **stored}), now=200.0)
    assert state.last_active == (200.0 if seen else 100.0)


def test_the_first_event_makes_a_session_active_and_later_ones_do_not_undo_an_end() -> None:
    state = state_of()
    assert state.advance(Durable([(1, event("a", at=5))]), now=150.0) == "initiated"
    assert (state.record.status, state.record.last_seq, state.last_event_id) == ("active", 1, "a")
    assert (state.last_active, state.last_event_seen) == (150.0, 150.0)
    assert state.end("completed", STARTED, "hangup") == "active"
    state.advance(Durable([(2, event("b", at=6))]), now=160.0)
    assert (state.record.status, state.record.last_seq) == ("completed", 2)


def test_a_newer_epoch_at_another_gateway_ends_the_publisher_here() -> None:
    state, seat = state_of(epoch=1), Seat(1)
    state.publisher = seat
    assert state.fence(3) is seat
    assert state.record.epoch == 3
    assert state.fence(4) is None


@pytest.mark.parametrize(("times", "ordered"), [(["05", "05", "06"], True), (["05", "04"], False), (["03"], False)])
def test_the_order_of_times_takes_in_events_stored_elsewhere(times: list[str], ordered: bool) -> None:
    state = state_of(last_seq=1)
    state.advance(Durable([(1, event("a", at=4000))]), now=0.0)
    found = [Event(f"b{n}", "s", "system", {}, f"2025-01-01T00:00:{at}.000Z", n + 2) for n, at in enumerate(times)]
    state.note_order(found)
    assert state.record.time_ordered is ordered

"""The inbox of a session: items wait in order, form rounds, and are bounded."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.in_memory import STARTED, Seat, events
from turnwire.gateway.live.inbox import MAX_OTHERS, MAX_ROUND_BYTES, MAX_ROUND_EVENTS, MAX_SIGNAL_KEYS, Inbox
from turnwire.gateway.live.items import AppendItem, BeatItem, ClaimItem, RenewItem, SignalItem
from turnwire.protocol.errors import Overloaded
from turnwire.store.session_record import SessionRecord

SEAT = Seat(1)


def append(*event_ids: str, weight: int = 1) -> AppendItem:
    return AppendItem(events(*event_ids), weight, STARTED, publisher=SEAT)


def renew() -> RenewItem:
    return RenewItem(asyncio.get_running_loop().create_future())


def test_waiting_appends_form_a_round_up_to_the_next_other_item() -> None:
    inbox, beat = Inbox(), BeatItem()
    first, second, third = append("a"), append("b", "c"), append("d")
    for item in (first, second, beat, third):
        inbox.put(item)
    assert [inbox.take() for _ in range(3)] == [[first, second], beat, [third]]
    assert not inbox


def test_a_round_has_no_more_events_than_its_bound() -> None:
    inbox = Inbox()
    items = [append(*(f"{n}-{each}" for each in range(200))) for n in range(5)]
    for item in items:
        inbox.put(item)
    assert MAX_ROUND_EVENTS == 500
    assert [inbox.take() for _ in range(3)] == [items[:2], items[2:4], items[4:]]


def test_a_round_has_no_more_bytes_than_its_bound_unless_it_is_a_single_append() -> None:
    inbox = Inbox()
    small, big, last = append("a"), append("b", weight=2 * MAX_ROUND_BYTES), append("c")
    for item in (small, big, last):
        inbox.put(item)
    assert [inbox.take() for _ in range(3)] == [[small], [big], [last]]


def test_an_append_with_a_condition_is_a_round_of_its_own() -> None:
    async def condition(_: SessionRecord) -> None:
        """Holds always."""

    inbox = Inbox()
    items = [append(name) for name in "abcde"]
    items[1].condition = items[2].condition = condition
    for item in items:
        inbox.put(item)
    assert [inbox.take() for _ in range(4)] == [[items[0]], [items[1]], [items[2]], items[3:]]
    assert (inbox.waiting, inbox.waiting_bytes) == (0, 0)


def test_the_inbox_counts_events_and_bytes_until_they_are_taken() -> None:
    inbox = Inbox()
    inbox.put(append("a", "b", weight=70))
    inbox.put(append("c", weight=30))
    assert (inbox.waiting, inbox.waiting_bytes) == (3, 100)
    inbox.take()
    assert (inbox.waiting, inbox.waiting_bytes) == (0, 0)
    inbox.put(append("d"))
    assert len(inbox.clear()) == 1
    assert (inbox.waiting, inbox.waiting_bytes, bool(inbox)) == (0, 0, False)


def test_a_newer_signal_replaces_a_waiting_one_of_its_key_and_goes_to_the_end() -> None:
    inbox = Inbox()
    old, other, new = (SignalItem(SEAT, key, {}) for key in ("typing", "mood", "typing"))
    for item in (old, other, new):
        inbox.put(item)
    assert [inbox.take(), inbox.take()] == [other, new]
    assert not inbox


def test_a_signal_over_the_bound_of_keys_drops_the_oldest() -> None:
    inbox = Inbox()
    for number in range(MAX_SIGNAL_KEYS + 1):
        inbox.put(SignalItem(SEAT, f"key{number}", {}))
    taken = inbox.take()
    assert isinstance(taken, SignalItem)
    assert taken.key == "key1"


async def test_only_items_whose_client_has_left_make_room() -> None:
    inbox = Inbox()
    waiting = [renew() for _ in range(MAX_OTHERS)]
    for item in waiting:
        inbox.put(item)
    with pytest.raises(Overloaded):
        inbox.put(renew())
    inbox.put(append("a"))  # appends are bounded by their senders
    for item in waiting[: MAX_OTHERS // 2]:
        assert item.done is not None
        item.done.cancel()
    last = ClaimItem(SEAT, asyncio.get_running_loop().create_future())
    inbox.put(last)
    kept = inbox.clear()
    assert kept[:-2] == waiting[MAX_OTHERS // 2 :]
    assert (isinstance(kept[-2], AppendItem), kept[-1]) == (True, last)


async def test_taking_items_frees_room_in_the_inbox() -> None:
    inbox = Inbox()
    for _ in range(3):
        for _ in range(MAX_OTHERS):
            inbox.put(renew())
        for _ in range(MAX_OTHERS):
            inbox.take()
    inbox.put(renew())
    assert len(inbox.clear()) == 1

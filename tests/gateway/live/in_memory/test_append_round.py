"""One round of appends: the outcome of each event, whoever sent it and whatever the log holds by then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.support.in_memory import STARTED, Seat, event, events
from turnwire.gateway.live.items import AppendItem, Stored
from turnwire.gateway.live.log.append_round import AppendRound
from turnwire.gateway.live.log.durable import Durable, as_received
from turnwire.protocol.errors import ErrorCode, SessionHasEnded, TurnwireError
from turnwire.protocol.messages import AckItem, BadEvent, Event, EventIn
from turnwire.protocol.rules import Ledger
from turnwire.protocol.times import format_time

BAD = BadEvent("bad", ErrorCode.INVALID_EVENT, "no payload")
TAKEN = STARTED


class Log:
    """A log in a dict, and the rounds that write into it. The test decides what the store holds."""

    def __init__(self, *event_ids: str, most: int = 0) -> None:
        self.most = most
        self.ledger = Ledger()
        self.events: dict[int, Event] = {}
        for each in event_ids:
            self.put(event(each, at=0))
            self.ledger.learn(len(self.events), each)

    def put(self, sent: EventIn) -> Event:
        assert sent.timestamp is not None
        seq = len(self.events) + 1
        self.events[seq] = Event(sent.event_id, "s", sent.type, sent.payload, format_time(sent.timestamp), seq)
        return self.events[seq]

    def play(
        self,
        *appends: AppendItem,
        foreign: Sequence[EventIn] = (),
        refused: Sequence[str] = (),
        ended: SessionHasEnded | None = None,
    ) -> AppendRound:
        """Admit, store, answer. `foreign` events are stored before the round's own; `refused` ones never are."""
        round_ = AppendRound(self.ledger, "s", self.most)
        if ended is not None or not round_.admit_plain(appends):
            stored = {seq: self.events[seq] for seq in round_.candidates(appends)}
            round_.admit(appends, stored, ended)
        durable = Durable()
        for each in refused:
            durable.refused[each] = "validator"
            self.ledger.drop_pending(each)
        for each_foreign in foreign:
            found = self.put(each_foreign)
            self.ledger.learn(found.seq, found.event_id)
            durable.foreign[found.event_id] = found
            durable.events.append((found.seq, as_received(found)))
        own = list(self.ledger.pending())
        for _, pending in own:
            self.put(pending)
        durable.events += own
        self.ledger.learn_pending()
        round_.answer(durable.shaped("s"), durable)
        return round_


def by_socket(seat: Seat, *sent: EventIn | BadEvent, weight: int = 10) -> AppendItem:
    return AppendItem(sent, weight, TAKEN, publisher=seat)


def by_rest(*sent: EventIn | BadEvent) -> AppendItem:
    return AppendItem(sent, 10, TAKEN, done=asyncio.get_running_loop().create_future())


def stored_by(append: AppendItem) -> list[Stored]:
    assert append.done is not None
    return append.done.result()


def failure_of(append: AppendItem) -> TurnwireError:
    assert append.done is not None
    error = append.done.exception()
    assert isinstance(error, TurnwireError)
    return error


def test_the_events_of_one_publisher_are_acked_together_in_order() -> None:
    log, seat = Log("old"), Seat(1)
    round_ = log.play(by_socket(seat, *events("a", "b"), weight=5), by_socket(seat, event("c"), weight=7))
    assert seat.answers == [AckItem("a", 2), AckItem("b", 3), AckItem("c", 4)]
    assert (seat.weight, round_.duplicates, round_.refused) == (12, 0, [])


async def test_publisher_and_rest_appends_of_one_round_get_their_own_answers() -> None:
    log, one, two = Log(), Seat(1), Seat(1)
    rest = by_rest(*events("r1", "r2"))
    log.play(by_socket(one, event("a")), rest, by_socket(two, event("b")), by_socket(one, event("c")))
    assert (one.seqs, two.seqs) == ([1, 5], [4])
    assert [(each.event.seq, each.event.event_id, each.duplicate) for each in stored_by(rest)] == [
        (2, "r1", False),
        (3, "r2", False),
    ]


async def test_a_round_answers_new_duplicate_and_refused_events_in_their_places() -> None:
    log, seat = Log("old"), Seat(1)
    again = by_rest(event("old"), event("new"))
    late = by_rest(event("a", {"other": 1}))
    round_ = log.play(
        by_socket(seat, event("a"), BAD, event("old"), event("old", {"changed": True})),
        again,
        late,
        by_socket(seat, event("a"), event("new"), event("poison"), event("taken")),
        foreign=[event("taken", at=1), event("theirs", at=1)],
        refused=["poison"],
    )
    assert [answer.event_id for answer in seat.answers] == ["a", "bad", "old", "old", "a", "new", "poison", "taken"]
    assert seat.seqs == [4, None, 1, None, 4, 5, None, 2]
    assert seat.duplicates == ["old", "a", "new", "taken"]
    assert [code for _, code in seat.nacks] == ["invalid_event", "event_conflict", "invalid_event"]
    assert [(each.event.seq, each.duplicate) for each in stored_by(again)] == [(1, True), (5, False)]
    assert [each.duplicate for each in stored_by(late)] == [True]
    assert round_.duplicates == 6
    assert sorted(log.events) == [1, 2, 3, 4, 5]


async def test_an_event_sent_twice_in_a_round_is_stored_once() -> None:
    log, one, two = Log(), Seat(1), Seat(1)
    rest = by_rest(event("a"))
    log.play(by_socket(one, event("a")), rest, by_socket(two, event("a"), event("a", {"changed": 1})))
    assert (one.duplicates, two.duplicates, two.nacks) == ([], ["a"], [("a", "event_conflict")])
    assert [each.duplicate for each in stored_by(rest)] == [True]
    assert [each.event_id for each in log.events.values()] == ["a"]


def test_an_event_stored_elsewhere_with_another_payload_is_a_conflict_and_later_events_move_up() -> None:
    log, seat = Log(), Seat(1)
    log.play(by_socket(seat, event("a"), event("b", {"n": 1})), foreign=[event("b", {"n": 2}, at=1)])
    assert (seat.seqs, seat.nacks) == ([2, None], [("b", "event_conflict")])
    assert [each.event_id for each in log.events.values()] == ["b", "a"]


@pytest.mark.parametrize("bad", [BAD, event("poison")], ids=["malformed", "refused by the database"])
async def test_a_rest_append_with_a_bad_event_fails_naming_it_and_no_other_append_does(bad: EventIn | BadEvent) -> None:
    log, seat = Log(), Seat(1)
    spoiled, good = by_rest(event("x"), bad), by_rest(event("y"))
    round_ = log.play(spoiled, by_socket(seat, event("a")), good, refused=["poison"])
    error = failure_of(spoiled)
    assert (error.code, round_.refused) == (ErrorCode.INVALID_EVENT, [ErrorCode.INVALID_EVENT])
    assert seat.seqs == [2]
    assert [each.event.seq for each in stored_by(good)] == [3]


async def test_after_the_end_stored_events_are_acked_and_new_ones_refused() -> None:
    log, seat = Log("old"), Seat(1)
    replay, mixed = by_rest(event("old")), by_rest(event("old"), event("late"))
    log.play(
        by_socket(seat, event("old"), event("new"), BAD, event("old", {"n": 1})),
        replay,
        mixed,
        ended=SessionHasEnded("s", "2025-01-01T00:00:00.000Z"),
    )
    assert seat.duplicates == ["old"]
    assert seat.nacks == [("new", "session_ended"), ("bad", "invalid_event"), ("old", "event_conflict")]
    assert [each.duplicate for each in stored_by(replay)] == [True]
    assert failure_of(mixed).code == ErrorCode.SESSION_ENDED
    assert len(log.events) == 1


async def test_a_client_that_gave_up_gets_no_answer_and_the_others_get_theirs() -> None:
    log, seat = Log("old"), Seat(1)
    left, also_left = by_rest(event("r")), by_rest(BAD)
    for append in (left, also_left):
        assert append.done is not None
        append.done.cancel()
    log.play(left, also_left, by_socket(seat, event("a")))
    assert seat.seqs == [3]


def test_a_missing_timestamp_is_the_time_of_receipt_and_a_given_one_is_kept() -> None:
    log, seat = Log(), Seat(1)
    log.play(by_socket(seat, event("a"), event("b", at=-5)), by_socket(seat, event("a"), event("c")))
    assert [each.timestamp for each in log.events.values()] == [
        "2025-01-01T00:00:00.000Z",
        "2024-12-31T23:59:59.995Z",
        "2025-01-01T00:00:00.000Z",
    ]


def test_a_full_log_takes_no_new_event_and_acks_the_old_ones_again() -> None:
    log, seat = Log("old", most=2), Seat(1)
    round_ = log.play(by_socket(seat, event("a"), event("b"), event("old")), by_socket(seat, event("a"), event("c")))
    assert seat.seqs == [2, None, 1, 2, None]
    assert seat.nacks == [("b", "session_full"), ("c", "session_full")]
    assert round_.refused == [ErrorCode.SESSION_FULL] * 2
    assert len(log.events) == 2


async def test_a_rest_append_that_does_not_fit_is_refused_whole_and_leaves_its_places_to_others() -> None:
    log, seat = Log("old", most=2), Seat(1)
    too_many, replay = by_rest(*events("a", "b")), by_rest(event("old"))
    log.play(too_many, by_socket(seat, event("b")), replay)
    assert failure_of(too_many).code == ErrorCode.SESSION_FULL
    assert seat.seqs == [2]
    assert [each.duplicate for each in stored_by(replay)] == [True]
    assert [each.event_id for each in log.events.values()] == ["old", "b"]

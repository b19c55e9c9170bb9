"""The checker itself: it finds every kind of planted violation, and nothing in a clean history."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.checker import assert_clean, check
from tests.support.command_checker import is_of_a_command
from tests.support.history import (
    Answer,
    Attendance,
    CommandAsked,
    CommandBegun,
    Entry,
    Following,
    History,
    RestAppend,
    Sending,
    load,
    save,
)
from tests.support.history_runs import Run, clean_histories, content
from tests.support.violations import Kind

pytestmark = pytest.mark.property


@given(clean_histories())
def test_the_checker_reports_nothing_in_a_clean_history(history: History) -> None:
    assert check([history]) == []
    assert_clean([history])


@given(history=clean_histories())
def test_a_history_is_unchanged_by_writing_it_to_a_file(
    history: History, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("history") / "history"
    save([history], path)
    assert load(path) == [history]


# --- planted violations: each changes a clean history in one way -----------------------------------------------------


def renumber(entries: list[Entry]) -> list[Entry]:
    return [
        Entry(seq, each.event_id, each.content, each.timestamp, each.epoch) for seq, each in enumerate(entries, start=1)
    ]


def lose_the_last_event(history: History, _: int) -> None:
    history.log.pop()


def lose_what_opened_spoke_of(history: History, _: int) -> None:
    history.publishings[-1].opened_seq = len(history.log) + 1


def store_twice(history: History, at: int) -> None:
    again = history.log[at % len(history.log)]
    history.log.append(
        Entry(len(history.log) + 1, again.event_id, again.content, again.timestamp, history.log[-1].epoch)
    )


def change_a_stored_payload(history: History, at: int) -> None:
    by_clients = [index for index, entry in enumerate(history.log) if not is_of_a_command(entry.event_id)]
    index = by_clients[at % len(by_clients)]
    old = history.log[index]
    history.log[index] = Entry(old.seq, old.event_id, content(-1), old.timestamp, old.epoch)


def ack_what_is_stored_otherwise(history: History, _: int) -> None:
    publishing = history.publishings[0]
    publishing.sent[0] = Sending(publishing.sent[0].event_id, content(-1))
    history.rest.append(RestAppend("other", [Sending(publishing.sent[0].event_id, history.log[0].content)]))


def answer_rest_with_another_time(history: History, _: int) -> None:
    stored = history.rest[-1].stored
    assert stored is not None
    stored[0] = Entry(stored[0].seq, stored[0].event_id, stored[0].content, "another time")


def move_an_acked_event(history: History, _: int) -> None:
    answers = history.publishings[0].answers
    answers[0] = Answer(answers[0].event_id, (answers[0].seq or 0) + 1)


def leave_a_hole(history: History, at: int) -> None:
    index = at % (len(history.log) - 1)
    history.log[index:] = [
        Entry(each.seq + 1, each.event_id, each.content, each.timestamp, each.epoch) for each in history.log[index:]
    ]


def read_out_of_order(history: History, at: int) -> None:
    index = at % (len(history.log) - 1)
    history.log[index], history.log[index + 1] = history.log[index + 1], history.log[index]


def swap_two_of_a_publisher(history: History, _: int) -> None:
    history.log[0], history.log[1] = history.log[1], history.log[0]
    history.log[:] = renumber(history.log)


def skip_one_of_a_publisher(history: History, _: int) -> None:
    del history.log[0]
    history.log[:] = renumber(history.log)


def store_for_the_old_after_the_new(history: History, _: int) -> None:
    older = history.publishings[0]
    epoch = older.epoch if history.log[0].epoch is not None else None
    older.sent.append(Sending("late", content(-2)))
    history.log.append(Entry(len(history.log) + 1, "late", content(-2), "t", epoch))


def ack_the_old_after_the_new(history: History, _: int) -> None:
    older = history.publishings[0]
    older.sent = older.sent[: len(older.answers)]
    last = next(entry for entry in reversed(history.log) if history.publishings[-1].sent[-1].event_id == entry.event_id)
    older.sent.append(Sending(last.event_id, last.content))
    older.answers.append(Answer(last.event_id, last.seq, True))


def store_after_opened_on_one_gateway(history: History, _: int) -> None:
    older, newer = history.publishings[-2:]
    newer.gateway = older.gateway
    seq = newer.opened_seq + 1
    older.sent = older.sent[: len(older.answers)]
    older.sent.append(Sending("late", content(-2)))
    epoch = older.epoch if history.log[0].epoch is not None else None
    history.log.insert(newer.opened_seq, Entry(seq, "late", content(-2), "t", epoch))
    history.log[:] = renumber(history.log)


def open_two_with_one_epoch(history: History, _: int) -> None:
    history.publishings[-1].epoch = history.publishings[-2].epoch


def answer_twice(history: History, _: int) -> None:
    answers = history.publishings[0].answers
    answers.insert(0, answers[0])


def answer_in_another_order(history: History, _: int) -> None:
    answers = history.publishings[0].answers
    answers[0], answers[1] = answers[1], answers[0]


def ack_what_was_never_sent(history: History, _: int) -> None:
    history.publishings[-1].answers.append(Answer(history.log[0].event_id, 1))


def answer_rest_with_fewer(history: History, _: int) -> None:
    stored = history.rest[-1].stored
    assert stored is not None
    stored.pop()


def nack_for_storage_trouble(history: History, _: int) -> None:
    history.publishings[-1].sent.append(Sending("held", content(-3)))
    history.publishings[-1].answers.append(Answer("held", code="storage_unavailable", retryable=True))


def nack_what_is_stored(history: History, _: int) -> None:
    answers = history.publishings[0].answers
    answers[0] = Answer(answers[0].event_id, code="session_ended")


def open_with_another_last_event(history: History, _: int) -> None:
    history.publishings[-1].opened_event_id = "e0" if history.log[0].event_id != "e0" else "e1"


def open_behind_an_ack(history: History, _: int) -> None:
    newer = history.publishings[-1]
    newer.opened_seq, newer.opened_event_id = 1, history.log[0].event_id


def full_following(history: History) -> Following:
    """A subscription that has seen the whole log."""
    following = Following("watcher", 0, list(history.log), [(len(history.log), len(history.log))])
    history.followings.append(following)
    return following


def deliver_with_a_hole(history: History, at: int) -> None:
    received = full_following(history).received
    del received[at % (len(received) - 1)]


def deliver_again(history: History, at: int) -> None:
    received = full_following(history).received
    index = at % len(received)
    received.insert(index, received[index])


def deliver_out_of_order(history: History, at: int) -> None:
    received = full_following(history).received
    index = at % (len(received) - 1)
    received[index], received[index + 1] = received[index + 1], received[index]


def deliver_what_differs(history: History, at: int) -> None:
    received = full_following(history).received
    old = received[at % len(received)]
    received[at % len(received)] = Entry(old.seq, old.event_id, old.content, "another time")


def deliver_what_is_not_stored(history: History, _: int) -> None:
    following = full_following(history)
    following.received.append(Entry(len(history.log) + 1, "never stored", content(-4), "t"))


def leave_a_subscriber_behind(history: History, at: int) -> None:
    history.followings.append(Following("sleeper", 0, history.log[: at % len(history.log)]))
    history.must_have_all.add("sleeper")


def forget_a_subscriber(history: History, _: int) -> None:
    history.must_have_all.add("never connected")


def say_caught_up_too_early(history: History, at: int) -> None:
    full_following(history).caught_up[0] = (at % len(history.log), len(history.log))


def say_caught_up_twice(history: History, _: int) -> None:
    caught_up = full_following(history).caught_up
    caught_up.append(caught_up[0])


def store_what_nobody_sent(history: History, _: int) -> None:
    history.log.append(Entry(len(history.log) + 1, "from nowhere", content(-5), "t", history.log[-1].epoch))


def asks(history: History, *, in_log: bool = True) -> CommandAsked:
    """A command more, which nobody has carried out."""
    asked = CommandAsked("planted", content(0), expires_at=100.0, answered_at=50.0)
    history.asked.append(asked)
    if in_log:
        log_entry(history, "control.requested:planted")
    return asked


def log_entry(history: History, event_id: str) -> None:
    history.log.append(Entry(len(history.log) + 1, event_id, content(0), "t"))


def begin(history: History, asked: CommandAsked, at: float = 51.0) -> None:
    history.begun.append(CommandBegun("bot", asked.command_id, asked.content, at, asked.expires_at))


def answer_a_command_that_is_not_stored(history: History, _: int) -> None:
    asks(history, in_log=False)


def keep_a_command_from_a_bot_that_is_there(history: History, at: int) -> None:
    asks(history)
    history.attended.append(Attendance(since=at % 50, until=None if at % 2 else 65.0))


def forget_what_became_of_a_command(history: History, _: int) -> None:
    asked = asks(history)
    asked.settled = True
    begin(history, asked)


def carry_out_a_command_twice(history: History, _: int) -> None:
    asked = asks(history)
    begin(history, asked)
    begin(history, asked, at=52.0)


def carry_out_a_command_late(history: History, _: int) -> None:
    begin(history, asks(history), at=101.0)


def carry_out_what_nobody_asked_for(history: History, _: int) -> None:
    history.begun.append(CommandBegun("bot", "nobody's", content(0), 1.0, 2.0))


def carry_out_something_else(history: History, _: int) -> None:
    asked = asks(history)
    history.begun.append(CommandBegun("bot", asked.command_id, content(-7), 51.0, asked.expires_at))


def end_a_command_before_it_was_asked_for(history: History, _: int) -> None:
    log_entry(history, "control.ended:planted")
    asks(history)


def store_a_command_that_nobody_asked_for(history: History, _: int) -> None:
    log_entry(history, "control.requested:nobody's")


PLANTED: list[tuple[Callable[[History, int], None], Kind]] = [
    (lose_the_last_event, Kind.LOST),
    (lose_what_opened_spoke_of, Kind.LOST),
    (store_twice, Kind.DOUBLED),
    (change_a_stored_payload, Kind.CHANGED),
    (ack_what_is_stored_otherwise, Kind.CHANGED),
    (answer_rest_with_another_time, Kind.CHANGED),
    (move_an_acked_event, Kind.MOVED),
    (leave_a_hole, Kind.HOLE),
    (read_out_of_order, Kind.HOLE),
    (swap_two_of_a_publisher, Kind.MISORDERED),
    (skip_one_of_a_publisher, Kind.SKIPPED),
    (store_for_the_old_after_the_new, Kind.FENCED),
    (ack_the_old_after_the_new, Kind.FENCED),
    (store_after_opened_on_one_gateway, Kind.FENCED),
    (open_two_with_one_epoch, Kind.SHARED_EPOCH),
    (answer_twice, Kind.MISANSWERED),
    (answer_in_another_order, Kind.MISANSWERED),
    (ack_what_was_never_sent, Kind.MISANSWERED),
    (answer_rest_with_fewer, Kind.MISANSWERED),
    (nack_for_storage_trouble, Kind.NOT_FINAL),
    (nack_what_is_stored, Kind.REFUSED),
    (open_with_another_last_event, Kind.MISOPENED),
    (open_behind_an_ack, Kind.MISOPENED),
    (deliver_with_a_hole, Kind.SUBSCRIBER_HOLE),
    (deliver_out_of_order, Kind.SUBSCRIBER_HOLE),
    (deliver_again, Kind.SUBSCRIBER_REPEAT),
    (deliver_what_differs, Kind.DIVERGED),
    (deliver_what_is_not_stored, Kind.NOT_DURABLE),
    (leave_a_subscriber_behind, Kind.NOT_CAUGHT_UP),
    (forget_a_subscriber, Kind.NOT_CAUGHT_UP),
    (say_caught_up_too_early, Kind.WRONG_CAUGHT_UP),
    (say_caught_up_twice, Kind.WRONG_CAUGHT_UP),
    (store_what_nobody_sent, Kind.PHANTOM),
    (answer_a_command_that_is_not_stored, Kind.COMMAND_LOST),
    (keep_a_command_from_a_bot_that_is_there, Kind.COMMAND_LOST),
    (forget_what_became_of_a_command, Kind.COMMAND_LOST),
    (carry_out_a_command_twice, Kind.COMMAND_REPEATED),
    (carry_out_a_command_late, Kind.COMMAND_LATE),
    (carry_out_what_nobody_asked_for, Kind.COMMAND_PHANTOM),
    (carry_out_something_else, Kind.COMMAND_PHANTOM),
    (end_a_command_before_it_was_asked_for, Kind.COMMAND_PHANTOM),
    (store_a_command_that_nobody_asked_for, Kind.COMMAND_PHANTOM),
]


@pytest.mark.parametrize(("plant", "kind"), PLANTED, ids=lambda each: getattr(each, "__name__", ""))
@given(data=st.data())
def test_the_checker_finds_a_planted_violation(
    plant: Callable[[History, int], None], kind: Kind, data: st.DataObject
) -> None:
    history = copy.deepcopy(data.draw(clean_histories()))
    plant(history, data.draw(st.integers(0, 100)))
    found = check([history])
    assert kind in {violation.kind for violation in found}
    with pytest.raises(AssertionError, match="violations"):
        assert_clean([history])


def test_every_kind_of_violation_is_planted() -> None:
    assert {kind for _, kind in PLANTED} == set(Kind)


def test_violations_of_one_session_are_not_blamed_on_another() -> None:
    run = Run(show_epochs=False)
    run.connect(same_gateway=True)
    run.send(run.make(2), answered=2)
    good, bad = run.finish(), copy.deepcopy(run.history)
    bad.session_id = "bad"
    bad.log.pop()
    assert {violation.session_id for violation in check([good, bad])} == {"bad"}

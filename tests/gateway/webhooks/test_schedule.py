"""When a message that was not taken is sent again, and whose turn it is meanwhile: decided without a clock."""

from __future__ import annotations

from random import Random

import pytest

from turnwire.gateway.webhooks.choosing import Choice, check_events, name_of
from turnwire.gateway.webhooks.schedule import GIVE_UP_AFTER, HOUR, JITTER, next_delay
from turnwire.gateway.webhooks.turns import Turns
from turnwire.protocol.errors import InvalidMessage


def least() -> float:
    return 0.0


def test_the_first_retry_comes_after_five_seconds_and_later_ones_ever_later() -> None:
    delays = [next_delay(failures, 0, least) for failures in range(1, 12)]
    assert delays[0] == 5
    known = [delay for delay in delays if delay is not None]
    assert known == sorted(known)
    assert known[-1] == 4 * HOUR


def test_chance_adds_up_to_a_fifth() -> None:
    assert next_delay(1, 0, lambda: 1.0) == 5 * (1 + JITTER)


@pytest.mark.parametrize("seed", range(5))
def test_a_message_is_tried_for_24_hours_and_the_last_attempt_is_at_their_end(seed: int) -> None:
    chance = Random(seed).random
    now, attempts = 0.0, 1
    while (delay := next_delay(attempts, now, chance)) is not None:
        now += delay
        attempts += 1
    assert now == pytest.approx(GIVE_UP_AFTER)
    assert 10 <= attempts <= 20


def test_an_endpoint_may_ask_for_a_longer_pause_up_to_an_hour() -> None:
    assert next_delay(1, 0, least, asked=90) == 90
    assert next_delay(1, 0, least, asked=1) == 5
    assert next_delay(1, 0, least, asked=10**6) == HOUR


def test_sessions_are_served_in_the_order_in_which_they_came_each_once_at_a_time() -> None:
    turns = Turns()
    for each in ("a", "b", "a"):
        turns.wake(each)
    assert (turns.take(0), turns.take(0), turns.take(0)) == ("a", "b", None)
    turns.wake("a")
    assert turns.take(0) is None, "it is being served"
    turns.done("a")
    assert turns.take(0) == "a", "it had something new meanwhile"


def test_a_session_that_failed_waits_alone_and_news_do_not_bring_it_forward() -> None:
    turns = Turns()
    turns.wake("bad")
    turns.take(0)
    turns.later("bad", 5)
    turns.wake("bad")
    turns.wake("good")
    assert (turns.take(1), turns.take(1)) == ("good", None)
    turns.done("good")
    assert (turns.next_due(), turns.waiting, len(turns)) == (5, 1, 1)
    assert turns.take(5) == "bad"
    assert turns.next_due() is None


def test_a_session_with_more_to_tell_goes_behind_the_others() -> None:
    turns = Turns()
    turns.wake("long")
    turns.wake("short")
    turns.take(0)
    turns.done("long", more=True)
    assert (turns.take(0), turns.take(0)) == ("short", "long")


def test_a_forgotten_session_leaves_nothing_and_a_rush_ends_all_waits() -> None:
    turns = Turns()
    for each in ("a", "b"):
        turns.wake(each)
        turns.take(0)
        turns.later(each, 100)
    turns.forget("a")
    assert turns.are_idle("a")
    turns.rush()
    assert (turns.take(0), turns.take(0)) == ("b", None)


def test_a_message_is_named_by_what_its_event_says() -> None:
    assert name_of("system", {"event": "tool.failed"}) == "tool.failed"
    assert name_of("user_speech", {"event": "tool.failed"}) == "user_speech"
    assert name_of("system", {"event": "session.failed"}) == "system", "only the gateway says so"
    assert name_of("system", {"event": "no name"}) == name_of("system", {}) == "system"


def test_types_are_chosen_by_name_by_beginning_or_all() -> None:
    tools = Choice(["tool.*", "session.failed"])
    assert tools.takes_event("system", "tool.failed")
    assert not tools.takes_event("system", "error")
    assert (tools.takes("session.failed"), tools.takes("session.completed")) == (True, False)
    assert Choice(["system"]).takes_event("system", "error")
    assert Choice(["*"]).takes_event("bot_speech", "bot_speech")
    assert [Choice(each).wants_events for each in (["*"], ["error"], ["session.*"], ["session.created"])] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("events", [[], ["a b"], ["session.ended"], ["tool*"], [""], ["x" * 200], ["error"] * 65])
def test_types_that_no_message_has_are_refused(events: list[str]) -> None:
    with pytest.raises(InvalidMessage):
        check_events(events)

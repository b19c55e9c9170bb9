"""Interruptions in a conversation: who cut whom short, and where the cut utterance ends."""

from __future__ import annotations

import pytest

from tests.protocol.conversations import bot, read, system, user
from turnwire.protocol.messages import LastLine


@pytest.mark.parametrize("told", ["mark", "event", "both"])
def test_an_interruption_counts_once_whether_told_by_the_utterance_by_an_event_or_both(told: str) -> None:
    events = [bot(0, 1000, turn=1, interrupted=told != "event")]
    if told != "mark":
        events.append(system("interruption", by="user", turn=1))
    assert read(*events).figures().interruptions.by_user == 1
    assert read(*events).figures().interruptions.by_bot == 0


def test_interruptions_are_counted_for_the_side_that_interrupted() -> None:
    events = [
        user(0, 900, turn=1, interrupted=True),
        system("interruption", by="bot", turn=2),
        system("interruption", turn=3),
    ]
    interruptions = read(*events).summary().interruptions
    assert (interruptions.by_user, interruptions.by_bot) == (1, 2)


def test_an_interrupted_utterance_ends_at_the_interruption_not_at_its_planned_end() -> None:
    conversation = read(bot(1000, 9000, turn=1), user(3500, 5000), system("interruption", by="user", turn=1, atMs=4000))
    assert conversation.figures().talk.bot_ms == 3000


@pytest.mark.parametrize("by", ["supervisor", "hangup"])
def test_an_utterance_cut_by_supervisor_or_hangup_ends_there_and_counts_as_no_interruption(by: str) -> None:
    cut = bot(0, 4000, turn=1, interrupted=True, cutBy=by), system("interruption", by=by, turn=1, atMs=1000)
    figures = read(*cut).figures()
    assert (figures.interruptions.by_user, figures.interruptions.by_bot) == (0, 0)
    assert figures.talk.bot_ms == 1000
    assert figures.last_line is not None
    assert figures.last_line.interrupted


def test_a_side_that_cuts_itself_short_does_not_interrupt() -> None:
    interruptions = read(bot(0, 900, interrupted=True, cutBy="bot"), user(0, 9, interrupted=True, cutBy="bot"))
    assert (interruptions.summary().interruptions.by_user, interruptions.summary().interruptions.by_bot) == (0, 1)


def test_an_interruption_also_cuts_an_utterance_whose_event_comes_later() -> None:
    cut = [user(3500, 5000), system("interruption", by="user", turn=1, atMs=4000)]
    early, late = read(bot(1000, 9000, turn=1), *cut), read(*cut, bot(1000, 9000, turn=1))
    assert early.figures().talk == late.figures().talk
    assert late.figures().talk.bot_ms == 3000
    assert late.figures().last_line == LastLine(1, "user", "user", False, 1500)


def test_a_bot_yields_from_the_moment_the_user_cuts_in() -> None:
    figures = read(
        bot(0, 2000, interrupted=True),
        user(1700, 2500),
        bot(3000, 9000, turn=2),
        user(4000, 5000),
        user(4500, 4600, source="noise"),
        system("interruption", by="user", turn=2, atMs=4600),
        bot(6000, 9000),
        user(8000, 8500),
    ).figures()
    assert (figures.yields.count, figures.yields.p50_ms, figures.yields.max_ms) == (2, 300, 600)
    assert (figures.overlaps.by_user, figures.overlaps.by_bot) == (3, 0)

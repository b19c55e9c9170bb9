"""Response times of a conversation: who answered whom, after how long, and which utterances got no answer."""

from __future__ import annotations

import pytest

from tests.protocol.conversations import bot, read, responses, system, user
from turnwire.protocol.figures import percentile


def test_a_response_lasts_from_the_users_stop_to_the_bots_start() -> None:
    conversation = read(
        bot(0, 1000), user(1500, 2000), bot(2450, 3000), bot(3100, 4000), user(4200, 5000), bot(5800, 6000)
    )
    assert responses(conversation) == [(3, 450), (6, 800)]
    assert conversation.summary().response_ms == conversation.figures().responses.last_ms == 800


def test_a_bot_that_begins_before_the_user_has_stopped_has_no_response_latency() -> None:
    conversation = read(user(0, 3000), bot(2500, 4000))
    assert responses(conversation) == []
    assert conversation.figures().talk.overlap_ms == 500


def test_without_measured_times_a_response_is_timed_by_the_events_timestamps() -> None:
    conversation = read(
        ("user_speech", {"text": "hello"}),
        ("bot_speech", {"text": "hi"}),
        ("user_speech", {}),
        offsets=[1000, 1700, 9000],
    )
    assert responses(conversation) == [(2, 700)]
    figures = conversation.figures()
    assert (figures.talk.user_ms, figures.talk.user_share, figures.silences.count) == (0, None, 0)
    assert figures.duration_ms == 8000


def test_a_reported_response_time_counts_unless_the_utterances_are_measured() -> None:
    reported = system("metrics.turn", turn=1, responseMs=320)
    unmeasured = read(("user_speech", {"turn": 1}), ("bot_speech", {"turn": 1}), reported, offsets=[0, 900, 900])
    assert responses(unmeasured) == [(2, 320)]
    assert responses(read(user(0, 100, turn=1), bot(800, 900, turn=1), reported)) == [(2, 700)]


def test_percentiles_use_the_nearest_rank() -> None:
    assert [percentile([10, 20, 30, 40], share) for share in (0.25, 0.5, 0.51, 0.95, 1)] == [10, 20, 30, 40, 40]
    assert percentile(list(range(1, 101)), 0.95) == 95
    assert percentile([], 0.5) is None


def test_a_user_utterance_that_gets_no_answer_before_the_next_one_is_missed() -> None:
    conversation = read(user(0, 1000), user(1200, 2000), bot(2500, 3000), user(4000, 5000))
    assert responses(conversation) == [(3, 500)]
    assert conversation.figures().responses.missed == 1  # the last utterance is neither answered nor missed


def test_a_user_utterance_that_ends_while_the_bot_speaks_is_not_missed() -> None:
    figures = read(bot(0, 5000), user(1000, 2000), user(6000, 7000), bot(7400, 8000)).figures()
    assert [(each.seq, each.ms) for each in figures.responses.each] == [(4, 400)]
    assert figures.responses.missed == 0


def test_two_bot_utterances_in_a_row_are_one_response() -> None:
    assert responses(read(user(0, 1000), bot(1500, 2000), bot(2100, 3000), user(4000, 4500), bot(4700, 5000))) == [
        (2, 500),
        (5, 200),
    ]


@pytest.mark.parametrize("source", ["backchannel", "chat", "dtmf", "noise"])
def test_utterances_that_are_not_speech_count_for_neither_turns_nor_responses(source: str) -> None:
    figures = read(user(0, 1000), bot(1500, 4000), user(2000, 2200, source=source), bot(4100, 5000)).figures()
    assert (figures.turns.total, figures.responses.count, figures.responses.missed) == (2, 1, 0)
    assert figures.talk.user_ms == 1000 + 200 * (source == "backchannel")
    assert figures.overlaps.by_user == 0

"""Turns, talk time, overlaps and silences of a conversation."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.conversations import Said, bot, read, user
from turnwire.protocol.talk.measures import SILENCE_MS


def test_a_turn_is_a_run_of_utterances_of_one_side() -> None:
    turns = read(bot(0, 1000), user(2000, 3000), user(3500, 4000), bot(5000, 6000), bot(6100, 7000)).figures().turns
    assert (turns.total, turns.user, turns.bot) == (3, 1, 2)


def test_turns_follow_the_time_of_speech_not_the_order_of_events() -> None:
    told = [bot(0, 1000), user(1500, 2000), bot(2500, 3000), user(3200, 4000), user(600, 800)]
    assert read(*told).figures().turns == read(*sorted(told, key=lambda each: each[1]["startedMs"])).figures().turns


def test_interim_text_does_not_count_as_an_utterance() -> None:
    conversation = read(user(0, 500, final=False), user(0, 900, final=True))
    assert conversation.figures().turns.total == 1
    assert conversation.figures().talk.user_ms == 900


def test_talk_time_is_counted_once_where_a_side_overlaps_itself() -> None:
    talk = read(user(0, 1000), user(500, 2000), bot(1500, 4000)).figures().talk
    assert (talk.user_ms, talk.bot_ms, talk.overlap_ms) == (2000, 2500, 500)
    assert (talk.user_share, talk.bot_share) == (0.4444, 0.5556)


def test_shares_of_talk_are_null_unless_every_utterance_is_measured() -> None:
    talk = read(user(0, 1000), bot(1500, 2000), ("bot_speech", {"text": "?"})).figures().talk
    assert (talk.user_ms, talk.bot_ms, talk.user_share, talk.bot_share) == (1000, 500, None, None)


def test_an_utterance_is_measured_by_times_of_day_too() -> None:
    spoken = {"startedAt": "2025-12-21T10:30:01.000Z", "endedAt": "2025-12-21T11:30:01.500+01:00"}
    assert read(("user_speech", spoken)).figures().talk.user_ms == 500
    assert read(("user_speech", {**spoken, "endedAt": "soon"})).figures().talk.user_ms == 0


def test_silences_are_long_times_in_which_nobody_speaks() -> None:
    silences = (
        read(bot(0, 1000), user(1000 + SILENCE_MS, 5000), bot(12_000, 13_000), user(13_500, 14_000)).figures().silences
    )
    assert (silences.count, silences.total_ms, silences.longest_ms) == (2, 10_000, 7000)


def test_there_is_no_silence_around_an_utterance_of_unknown_length() -> None:
    conversation = read(bot(0, 1000), ("user_speech", {"text": "?"}), bot(9000, 9500), offsets=[0, 4000, 4000])
    assert conversation.figures().silences.count == 0


def test_a_bot_that_begins_while_the_user_speaks_counts_as_an_overlap() -> None:
    assert read(user(0, 2000), bot(1500, 3000)).figures().overlaps.by_bot == 1
    assert read(user(0, 2000), bot(2000, 3000)).figures().overlaps.by_bot == 0


times = st.integers(0, 20_000)
speech = st.builds(lambda side, start, length: side(start, start + length), st.sampled_from([user, bot]), times, times)


@given(st.lists(speech, max_size=30), st.randoms())
def test_the_figures_do_not_depend_on_the_order_of_the_log(said: list[Said], chance: random.Random) -> None:
    shuffled = chance.sample(said, len(said))
    ordered = [read(*each).figures() for each in (said, shuffled)]
    for field in ("duration_ms", "talk", "silences"):
        assert getattr(ordered[0], field) == getattr(ordered[1], field)
    starts = [payload["startedMs"] for _, payload in said]
    if len(set(starts)) == len(starts):
        assert ordered[0].turns == ordered[1].turns


@given(st.lists(speech, max_size=30))
def test_turns_talk_and_silence_add_up(said: list[Said]) -> None:
    figures = read(*said).figures()
    assert figures.turns.total == figures.turns.user + figures.turns.bot
    assert figures.talk.overlap_ms <= min(figures.talk.user_ms, figures.talk.bot_ms)
    spoken = figures.talk.user_ms + figures.talk.bot_ms - figures.talk.overlap_ms
    assert spoken + figures.silences.total_ms <= figures.duration_ms
    assert figures.responses.last_ms == read(*said).summary().response_ms
    assert all(response.ms >= 0 for response in figures.responses.each)

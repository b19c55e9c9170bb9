"""The figures of conversations, from events alone. Times are milliseconds of the call."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwire.protocol.conversation import LINE_CHARS, SILENCE_MS, Conversation
from turnwire.protocol.figures import percentile
from turnwire.protocol.messages import Event, EventType, LastLine

BEGAN = 1_766_313_000_000
Said = tuple[EventType, dict[str, Any]]


def read(*events: Said, offsets: list[int] | None = None) -> Conversation:
    """The conversation of these events; by default they all have the same timestamp."""
    conversation = Conversation()
    for seq, (kind, payload) in enumerate(events, start=1):
        conversation.take(seq, kind, payload, BEGAN + (offsets[seq - 1] if offsets else 0))
    return conversation


def user(started: int, ended: int, **fields: Any) -> Said:
    return "user_speech", {"text": "user", "startedMs": started, "endedMs": ended, **fields}


def bot(started: int, ended: int, **fields: Any) -> Said:
    return "bot_speech", {"text": "bot", "startedMs": started, "endedMs": ended, **fields}


def system(event: str, **fields: Any) -> Said:
    return "system", {"event": event, **fields}


def responses(conversation: Conversation) -> list[tuple[int, int]]:
    return [(response.seq, response.ms) for response in conversation.figures().responses.each]


def test_nothing_said_has_figures_too() -> None:
    figures = read().figures()
    assert (figures.duration_ms, figures.turns.total, figures.errors) == (0, 0, 0)
    assert (figures.responses.count, figures.responses.p50_ms, figures.responses.last_ms) == (0, None, None)
    assert (figures.talk.user_share, figures.talk.bot_share) == (None, None)
    assert read().summary().last_line is None


def test_a_turn_is_a_run_of_utterances_of_one_side() -> None:
    turns = read(bot(0, 1000), user(2000, 3000), user(3500, 4000), bot(5000, 6000), bot(6100, 7000)).figures().turns
    assert (turns.total, turns.user, turns.bot) == (3, 1, 2)


def test_turns_go_by_when_they_began_not_by_when_they_were_told() -> None:
    told = [bot(0, 1000), user(1500, 2000), bot(2500, 3000), user(3200, 4000), user(600, 800)]
    assert read(*told).figures().turns == read(*sorted(told, key=lambda each: each[1]["startedMs"])).figures().turns


def test_interim_text_is_no_utterance() -> None:
    conversation = read(user(0, 500, final=False), user(0, 900, final=True))
    assert conversation.figures().turns.total == 1
    assert conversation.figures().talk.user_ms == 900


def test_a_response_goes_from_the_users_stop_to_the_bots_start() -> None:
    conversation = read(
        bot(0, 1000), user(1500, 2000), bot(2450, 3000), bot(3100, 4000), user(4200, 5000), bot(5800, 6000)
    )
    assert responses(conversation) == [(3, 450), (6, 800)]
    assert conversation.summary().response_ms == conversation.figures().responses.last_ms == 800


def test_a_bot_that_begins_before_the_user_has_stopped_has_no_response_latency() -> None:
    conversation = read(user(0, 3000), bot(2500, 4000))
    assert responses(conversation) == []
    assert conversation.figures().talk.overlap_ms == 500


def test_without_measured_times_the_timestamps_stand_for_the_users_stop_and_the_bots_start() -> None:
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


def test_a_reported_response_time_counts_where_the_transcript_is_not_measured() -> None:
    reported = system("metrics.turn", turn=1, responseMs=320)
    unmeasured = read(("user_speech", {"turn": 1}), ("bot_speech", {"turn": 1}), reported, offsets=[0, 900, 900])
    assert responses(unmeasured) == [(2, 320)]
    assert responses(read(user(0, 100, turn=1), bot(800, 900, turn=1), reported)) == [(2, 700)]


def test_percentiles_are_by_nearest_rank() -> None:
    assert [percentile([10, 20, 30, 40], share) for share in (0.25, 0.5, 0.51, 0.95, 1)] == [10, 20, 30, 40, 40]
    assert percentile(list(range(1, 101)), 0.95) == 95
    assert percentile([], 0.5) is None


def test_talk_time_is_counted_once_where_a_side_overlaps_itself() -> None:
    talk = read(user(0, 1000), user(500, 2000), bot(1500, 4000)).figures().talk
    assert (talk.user_ms, talk.bot_ms, talk.overlap_ms) == (2000, 2500, 500)
    assert (talk.user_share, talk.bot_share) == (0.4444, 0.5556)


def test_silences_are_long_times_in_which_nobody_speaks() -> None:
    silences = (
        read(bot(0, 1000), user(1000 + SILENCE_MS, 5000), bot(12_000, 13_000), user(13_500, 14_000)).figures().silences
    )
    assert (silences.count, silences.total_ms, silences.longest_ms) == (2, 10_000, 7000)


def test_an_utterance_of_unknown_length_ends_no_silence_and_makes_none() -> None:
    conversation = read(bot(0, 1000), ("user_speech", {"text": "?"}), bot(9000, 9500), offsets=[0, 4000, 4000])
    assert conversation.figures().silences.count == 0


@pytest.mark.parametrize("told", ["mark", "event", "both"])
def test_an_interruption_counts_once_however_it_is_told(told: str) -> None:
    events = [bot(0, 1000, turn=1, interrupted=told != "event")]
    if told != "mark":
        events.append(system("interruption", by="user", turn=1))
    assert read(*events).figures().interruptions.by_user == 1
    assert read(*events).figures().interruptions.by_bot == 0


def test_interruptions_are_counted_by_who_did_it() -> None:
    events = [
        user(0, 900, turn=1, interrupted=True),
        system("interruption", by="bot", turn=2),
        system("interruption", turn=3),
    ]
    interruptions = read(*events).summary().interruptions
    assert (interruptions.by_user, interruptions.by_bot) == (1, 2)


def test_what_was_interrupted_ends_there_whatever_had_been_planned() -> None:
    conversation = read(bot(1000, 9000, turn=1), user(3500, 5000), system("interruption", by="user", turn=1, atMs=4000))
    assert conversation.figures().talk.bot_ms == 3000


def test_tool_calls_are_told_apart_by_call_id_or_name() -> None:
    events = [
        system("tool.started", name="a"),
        system("tool.started", name="b", callId="1"),
        system("tool.started", name="b", callId="2"),
        system("tool.failed", name="b", callId="2"),
        system("tool.completed", name="a"),
        system("tool.completed", name="never started"),
        system("error"),
    ]
    figures = read(*events).figures()
    assert (figures.tools.calls, figures.tools.failed, figures.tools.running) == (4, 1, 1)
    assert figures.errors == 1


def test_the_last_line_is_the_last_text_shortened() -> None:
    conversation = read(bot(0, 1200), user(2000, 2500, text="  so \n much " + "x" * 300), ("bot_speech", {"text": " "}))
    line = conversation.summary().last_line
    assert isinstance(line, LastLine)
    assert (line.seq, line.side, line.duration_ms, line.interrupted) == (2, "user", 500, False)
    assert line.text.startswith("so much xxx")
    assert len(line.text) == LINE_CHARS
    assert conversation.figures().last_line == line


@pytest.mark.parametrize("payload", [
    {}, {"startedMs": "1", "endedMs": None}, {"startedMs": True, "endedMs": 5}, {"startedMs": 9, "endedMs": 3},
    {"startedMs": -1, "endedMs": 10**18}, {"startedMs": float("nan"), "endedMs": 1}, {"text": 7, "turn": "x"},
    {"interrupted": "yes", "final": 0},
])  # fmt: skip
def test_what_does_not_follow_the_conventions_is_passed_over(payload: dict[str, Any]) -> None:
    for kind in ("user_speech", "bot_speech", "system"):
        conversation = read((kind, payload), ("system", {"event": ["list"]}), ("system", payload))
        figures = conversation.figures()
        assert (figures.talk.user_ms, figures.talk.bot_ms, figures.interruptions.by_user) == (0, 0, 0)
        assert conversation.summary().through_seq == 3


def test_events_come_in_order_and_once() -> None:
    conversation = read(user(0, 100))
    conversation.take(1, "user_speech", {}, BEGAN)
    assert conversation.figures().turns.total == 1
    with pytest.raises(ValueError, match="event 2 is missing"):
        conversation.take(3, "user_speech", {}, BEGAN)
    conversation.add(Event("e", "s", "bot_speech", {}, "2025-12-21T10:30:02.000Z", 2))
    assert conversation.last_seq == 2


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
def test_sums_fit_together(said: list[Said]) -> None:
    figures = read(*said).figures()
    assert figures.turns.total == figures.turns.user + figures.turns.bot
    assert figures.talk.overlap_ms <= min(figures.talk.user_ms, figures.talk.bot_ms)
    spoken = figures.talk.user_ms + figures.talk.bot_ms - figures.talk.overlap_ms
    assert spoken + figures.silences.total_ms <= figures.duration_ms
    assert figures.responses.last_ms == read(*said).summary().response_ms
    assert all(response.ms >= 0 for response in figures.responses.each)

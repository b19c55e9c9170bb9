"""The figures of conversations, from events alone. Times are milliseconds of the call."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwire.protocol.conversation import KEPT_SHARE, LOOK_BACK, Conversation
from turnwire.protocol.figures import percentile
from turnwire.protocol.messages import Event, EventType, LastLine
from turnwire.protocol.talk.conventions import LINE_CHARS
from turnwire.protocol.talk.measures import SILENCE_MS

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


def test_an_utterance_without_an_answer_before_the_next_one_is_missed() -> None:
    conversation = read(user(0, 1000), user(1200, 2000), bot(2500, 3000), user(4000, 5000))
    assert responses(conversation) == [(3, 500)]
    assert conversation.figures().responses.missed == 1  # the last one is neither answered nor missed


def test_what_ends_while_the_bot_speaks_waits_for_no_answer() -> None:
    figures = read(bot(0, 5000), user(1000, 2000), user(6000, 7000), bot(7400, 8000)).figures()
    assert [(each.seq, each.ms) for each in figures.responses.each] == [(4, 400)]
    assert figures.responses.missed == 0


def test_the_bot_that_speaks_twice_has_answered_once() -> None:
    assert responses(read(user(0, 1000), bot(1500, 2000), bot(2100, 3000), user(4000, 4500), bot(4700, 5000))) == [
        (2, 500),
        (5, 200),
    ]


@pytest.mark.parametrize("source", ["backchannel", "chat", "dtmf", "noise"])
def test_only_speech_counts_for_turns_and_responses(source: str) -> None:
    figures = read(user(0, 1000), bot(1500, 4000), user(2000, 2200, source=source), bot(4100, 5000)).figures()
    assert (figures.turns.total, figures.responses.count, figures.responses.missed) == (2, 1, 0)
    assert figures.talk.user_ms == 1000 + 200 * (source == "backchannel")
    assert figures.overlaps.by_user == 0


def test_shares_of_talk_are_null_unless_every_utterance_is_measured() -> None:
    talk = read(user(0, 1000), bot(1500, 2000), ("bot_speech", {"text": "?"})).figures().talk
    assert (talk.user_ms, talk.bot_ms, talk.user_share, talk.bot_share) == (1000, 500, None, None)


def test_times_of_day_measure_as_well() -> None:
    spoken = {"startedAt": "2025-12-21T10:30:01.000Z", "endedAt": "2025-12-21T11:30:01.500+01:00"}
    assert read(("user_speech", spoken)).figures().talk.user_ms == 500
    assert read(("user_speech", {**spoken, "endedAt": "soon"})).figures().talk.user_ms == 0


@pytest.mark.parametrize("by", ["supervisor", "hangup"])
def test_what_no_side_has_cut_short_is_no_interruption_and_ends_there(by: str) -> None:
    cut = bot(0, 4000, turn=1, interrupted=True, cutBy=by), system("interruption", by=by, turn=1, atMs=1000)
    figures = read(*cut).figures()
    assert (figures.interruptions.by_user, figures.interruptions.by_bot) == (0, 0)
    assert figures.talk.bot_ms == 1000
    assert figures.last_line is not None
    assert figures.last_line.interrupted


def test_a_side_that_cuts_itself_short_interrupts_nobody() -> None:
    interruptions = read(bot(0, 900, interrupted=True, cutBy="bot"), user(0, 9, interrupted=True, cutBy="bot"))
    assert (interruptions.summary().interruptions.by_user, interruptions.summary().interruptions.by_bot) == (0, 1)


def test_an_interruption_cuts_what_is_told_later_too() -> None:
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


def test_a_bot_that_begins_while_the_user_speaks_overlaps() -> None:
    assert read(user(0, 2000), bot(1500, 3000)).figures().overlaps.by_bot == 1
    assert read(user(0, 2000), bot(2000, 3000)).figures().overlaps.by_bot == 0


def test_a_cancelled_tool_has_not_failed_and_one_that_timed_out_has() -> None:
    events = [system("tool.started", callId=str(n)) for n in range(3)]
    events += [system("tool.progress", callId="0"), system("tool.cancelled", callId="0")]
    events += [system("tool.timed_out", callId="1")]
    tools = read(*events).figures().tools
    assert (tools.calls, tools.failed, tools.running) == (3, 1, 1)


def test_usage_is_summed_by_kind_provider_and_model() -> None:
    model = {"kind": "llm", "provider": "p", "model": "m"}
    conversation = read(
        system("usage", **model, inputTokens=100, outputTokens=5, cost=0.1),
        system("usage", **model, inputTokens=20, cost=0.2, outputTokens=-1),
        system("usage", kind="tts", characters=12, audioSeconds=1.5, inputTokens=True, cost=float("nan")),
    )
    llm, tts = conversation.figures().usage
    assert (llm.kind, llm.input_tokens, llm.output_tokens, llm.cost) == ("llm", 120, 5, 0.3)
    assert (tts.provider, tts.characters, tts.audio_seconds, tts.input_tokens, tts.cost) == (None, 12, 1.5, 0, None)


def test_sums_of_usage_are_bounded() -> None:
    conversation = read(*(system("usage", model=f"m{n}", characters=1) for n in range(80)))
    usage = conversation.figures().usage
    assert len(usage) == 51
    assert (usage[-1].model, usage[-1].characters) == (None, 30)


def test_the_last_line_goes_by_when_it_was_said() -> None:
    conversation = read(bot(5000, 6000, text="later"), user(1000, 2000, text="earlier"))
    line = conversation.summary().last_line
    assert line is not None
    assert line.text == "later"


def test_a_session_in_few_numbers_has_those_of_its_figures() -> None:
    conversation = read(user(0, 1000), bot(1600, 3000, interrupted=True), user(2500, 4000), bot(4200, 5000))
    few, figures = conversation.final(), conversation.figures()
    assert (few.turns, few.response_p50_ms, few.response_p95_ms, few.missed) == (4, 200, 600, 0)
    assert (few.interruptions, few.duration_ms, few.talk_ms) == (figures.interruptions, 5000, 4700)
    assert conversation.brief().response_p95_ms == 600
    assert conversation.brief().talk_ms is None


def long_call(rounds: int) -> Conversation:
    said: list[Said] = []
    for start in range(0, rounds * 10_000, 10_000):
        said += [user(start, start + 1000), bot(start + 1500, start + 9000)]
    return read(*said)


def test_neither_interruptions_nor_summaries_visit_a_long_call_again() -> None:
    conversation = long_call(5000)
    for number in range(500):
        at = number * 10_000 + 2000
        conversation.take(conversation.last_seq + 1, *system("interruption", by="user", turn=number, atMs=at), BEGAN)
        conversation.summary()
    assert conversation.visited <= 500 * LOOK_BACK
    assert conversation.figures().talk.bot_ms == 4500 * 7500 + 500 * 500


def test_numbers_asked_after_every_event_cost_the_same_for_each() -> None:
    conversation, events = Conversation(), 4000
    for seq in range(1, events + 1):
        start = (events - seq) * 3000  # told backwards, the worst order
        side = user if seq % 2 else bot
        conversation.take(seq, *side(start, start + 1000), BEGAN)
        conversation.brief()
    assert conversation.visited <= events * (KEPT_SHARE + 2)
    assert conversation.final().turns == events


def test_one_that_is_frozen_stays_as_it_was() -> None:
    conversation = read(user(0, 1000), bot(1500, 2000), system("usage", characters=1), system("tool.started"))
    frozen, before = conversation.frozen(), conversation.figures()
    for event in (
        bot(2500, 3000),
        system("usage", characters=1),
        system("tool.failed"),
        system("interruption", atMs=1),
    ):
        conversation.take(conversation.last_seq + 1, *event, BEGAN)
    assert frozen.figures() == before
    assert conversation.figures() != before


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

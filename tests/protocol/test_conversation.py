"""A conversation as a whole: its tools, usage, last line and short figures, and what reading it costs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.conversations import BEGAN, Said, bot, read, system, user
from turnwire.protocol.conversation import LOOK_BACK, Conversation
from turnwire.protocol.messages import Event, LastLine
from turnwire.protocol.talk.conventions import LINE_CHARS
from turnwire.protocol.talk.percentiles import KEPT_SHARE, LONG


def test_a_conversation_without_events_has_figures() -> None:
    figures = read().figures()
    assert (figures.duration_ms, figures.turns.total, figures.errors) == (0, 0, 0)
    assert (figures.responses.count, figures.responses.p50_ms, figures.responses.last_ms) == (0, None, None)
    assert (figures.talk.user_share, figures.talk.bot_share) == (None, None)
    assert read().summary().last_line is None


def test_tool_calls_are_matched_by_call_id_or_by_name() -> None:
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


def test_a_tool_that_timed_out_has_failed_and_a_cancelled_one_has_not() -> None:
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


def test_usage_of_very_many_models_is_summed_in_a_bounded_number_of_rows() -> None:
    conversation = read(*(system("usage", model=f"m{n}", characters=1) for n in range(80)))
    usage = conversation.figures().usage
    assert len(usage) == 51
    assert (usage[-1].model, usage[-1].characters) == (None, 30)


def test_the_last_line_is_the_last_text_shortened() -> None:
    conversation = read(bot(0, 1200), user(2000, 2500, text="  so \n much " + "x" * 300), ("bot_speech", {"text": " "}))
    line = conversation.summary().last_line
    assert isinstance(line, LastLine)
    assert (line.seq, line.side, line.duration_ms, line.interrupted) == (2, "user", 500, False)
    assert line.text.startswith("so much xxx")
    assert len(line.text) == LINE_CHARS
    assert conversation.figures().last_line == line


def test_the_last_line_is_the_one_said_last_not_the_last_event() -> None:
    conversation = read(bot(5000, 6000, text="later"), user(1000, 2000, text="earlier"))
    line = conversation.summary().last_line
    assert line is not None
    assert line.text == "later"


def test_the_short_figures_of_a_session_agree_with_the_full_ones() -> None:
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


def test_interruptions_and_summaries_of_a_long_call_do_not_visit_all_its_utterances() -> None:
    conversation = long_call(5000)
    for number in range(500):
        at = number * 10_000 + 2000
        conversation.take(conversation.last_seq + 1, *system("interruption", by="user", turn=number, atMs=at), BEGAN)
        conversation.summary()
    assert conversation.visited <= 500 * LOOK_BACK
    assert conversation.figures().talk.bot_ms == 4500 * 7500 + 500 * 500


def test_the_short_figures_cost_each_event_the_same_however_long_the_call() -> None:
    conversation, events = Conversation(), 4000
    for seq in range(1, events + 1):
        start = (events - seq) * 3000  # told in reverse, the worst order
        side = user if seq % 2 else bot
        conversation.take(seq, *side(start, start + 1000), BEGAN)
        conversation.brief()
    assert conversation.visited <= events * (KEPT_SHARE + 2)
    assert conversation.final().turns == events


def test_a_frozen_conversation_keeps_its_figures_while_the_original_continues() -> None:
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
def test_payloads_that_do_not_follow_the_conventions_are_ignored(payload: dict[str, Any]) -> None:
    for kind in ("user_speech", "bot_speech", "system"):
        conversation = read((kind, payload), ("system", {"event": ["list"]}), ("system", payload))
        figures = conversation.figures()
        assert (figures.talk.user_ms, figures.talk.bot_ms, figures.interruptions.by_user) == (0, 0, 0)
        assert conversation.summary().through_seq == 3


def test_a_conversation_ignores_a_repeated_event_and_refuses_a_gap() -> None:
    conversation = read(user(0, 100))
    conversation.take(1, "user_speech", {}, BEGAN)
    assert conversation.figures().turns.total == 1
    with pytest.raises(ValueError, match="event 2 is missing"):
        conversation.take(3, "user_speech", {}, BEGAN)
    conversation.add(Event("e", "s", "bot_speech", {}, "2025-12-21T10:30:02.000Z", 2))
    assert conversation.last_seq == 2


def test_the_short_figures_of_a_very_long_call_do_not_visit_all_its_utterances_if_made_elsewhere() -> None:
    conversation = long_call(LONG)
    conversation.brief()
    visited = conversation.visited
    for number in range(LONG, 2 * LONG):
        start = number * 10_000
        for type, payload in (user(start, start + 1000), bot(start + 1700, start + 9000)):
            conversation.take(conversation.last_seq + 1, type, payload, BEGAN)
        if conversation.due:
            frozen = conversation.frozen()
            made = frozen.percentiles()
            assert frozen.visited > visited
            conversation.keep(made)
            conversation.keep(made._replace(changes=made.changes - 1, missed=-1))  # an older one, come late
        assert conversation.brief().missed == 0
    assert conversation.visited == visited
    assert (conversation.brief().response_p50_ms, conversation.brief().response_p95_ms) == (500, 700)


def test_percentiles_not_made_in_a_thread_are_made_each_time_the_call_has_doubled() -> None:
    conversation, events = Conversation(), 8 * LONG
    for seq in range(1, events + 1):
        side = user if seq % 2 else bot
        conversation.take(seq, *side(seq * 1000, seq * 1000 + 500), BEGAN)
        if seq >= LONG:
            conversation.brief()
    assert conversation.visited <= 4 * events

"""The trace of a call, read from its events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from turnwire.gateway.tracing import call_reader
from turnwire.gateway.tracing.call_reader import CallReader
from turnwire.gateway.tracing.shapes import SpanShape
from turnwire.protocol.messages import Event, EventType, JsonObject, Session
from turnwire.protocol.times import format_time, to_millis

STARTED = datetime(2025, 1, 1, tzinfo=UTC)
ZERO = to_millis(STARTED)


class Call:
    """A call of which each event follows another. Times are in milliseconds from its start."""

    def __init__(self, *, texts: bool = False, ended: int = 60_000, begun: bool = True, **fields: object) -> None:
        given: dict[str, object] = {"metadata": {}, "status": "completed"} | fields
        session = Session(
            session_id="c",
            language="en",
            started_at=format_time(STARTED),
            ended_at=format_time(STARTED + timedelta(milliseconds=ended)),
            **given,  # type: ignore[arg-type]  # of several types
        )
        self._reader = CallReader(session, texts=texts)
        self._seq = 0
        if begun:
            self.system("call.started", 0)

    def take(self, type: EventType, at: int, payload: JsonObject) -> None:
        self._seq += 1
        moment = format_time(STARTED + timedelta(milliseconds=at))
        self._reader.take(Event(f"e{self._seq}", "c", type, payload, moment, self._seq))

    def user(self, start: int, end: int, **fields: object) -> None:
        self.take("user_speech", end, {"text": "hi", "startedMs": start, "endedMs": end, **fields})

    def bot(self, start: int, end: int, **fields: object) -> None:
        self.take("bot_speech", start, {"text": "hello", "startedMs": start, "endedMs": end, **fields})

    def system(self, event: str, at: int, /, **fields: object) -> None:
        self.take("system", at, {"event": event, **fields})

    def span(self) -> SpanShape:
        return self._reader.call()

    def turns(self) -> list[SpanShape]:
        return [span for span in self.span().children if span.name.startswith("invoke_agent")]


def tools_of(span: SpanShape) -> list[SpanShape]:
    return [child for child in span.children if child.name.startswith("execute_tool")]


def times(span: SpanShape) -> tuple[int, int]:
    return span.start - ZERO, span.end - ZERO


def test_a_turn_begins_with_the_user_and_ends_with_the_bots_answer_and_shows_the_wait_between_them() -> None:
    call = Call(metadata={"bot": "concierge"})
    call.bot(0, 900)
    call.user(1000, 2000)
    call.bot(2700, 4000)
    call.user(5000, 6000)
    greeting, answered, open_ = call.turns()
    assert [times(turn) for turn in (greeting, answered, open_)] == [(0, 900), (1000, 4000), (5000, 6000)]
    assert [child.name for child in answered.children] == ["user_speech", "bot_speech"]
    assert answered.name == "invoke_agent concierge"
    assert answered.attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.conversation.id": "c",
        "gen_ai.agent.name": "concierge",
        "turnwire.turn.index": 1,
        "turnwire.turn.response_ms": 700,
    }
    assert "turnwire.turn.response_ms" not in greeting.attributes | open_.attributes


def test_utterances_that_arrive_late_stand_where_they_were_said() -> None:
    call = Call()
    call.bot(2700, 4000)
    call.user(1000, 2000)
    (turn,) = call.turns()
    assert times(turn) == (1000, 4000)


def test_interim_texts_backchannels_and_what_nobody_spoke_make_no_turn() -> None:
    call = Call()
    call.user(0, 100, final=False)
    for source in ("backchannel", "chat", "dtmf", "noise"):
        call.user(200, 300, source=source)
    assert call.turns() == []


def test_an_utterance_without_times_is_a_point_where_its_event_is() -> None:
    call = Call()
    call.take("user_speech", 0, {"text": "a"})
    call.take("user_speech", 1500, {"text": "b"})
    call.take("bot_speech", 2000, {"text": "c"})
    (turn,) = call.turns()
    assert times(turn) == (0, 2000)
    assert turn.attributes["turnwire.turn.response_ms"] == 500


@pytest.mark.parametrize(
    "how",
    ["marked", "event with the turn", "event with the time", "cut by a supervisor", "user cut", "event of the bot"],
)
def test_a_turn_says_whether_the_user_has_cut_the_bot_short(how: str) -> None:
    call = Call()
    call.user(0, 1000, turn=1, interrupted=how == "user cut")
    if how == "event with the turn":
        call.system("interruption", 1500, turn=1)
    if how == "cut by a supervisor":
        call.bot(1500, 3000, turn=1, interrupted=True, cutBy="supervisor")
    else:
        call.bot(1500, 3000, turn=1, interrupted=how == "marked")
    if how == "event with the time":
        call.system("interruption", 2500, atMs=2400)
    if how == "event of the bot":
        call.system("interruption", 2500, by="bot", turn=1)
    (turn,) = call.turns()
    expected = how in ("marked", "event with the turn", "event with the time")
    assert ("turnwire.turn.interrupted" in turn.attributes) == expected


def test_a_tool_call_lies_in_the_turn_in_which_it_began_and_prolongs_it() -> None:
    call = Call()
    call.user(0, 1000)
    call.system("tool.started", 1100, name="book", callId="t1", arguments={"day": "Monday"})
    call.bot(1500, 2000)
    call.system("tool.completed", 3000, name="book", callId="t1", result="done")
    (turn,) = call.turns()
    (tool,) = tools_of(turn)
    assert (tool.name, times(tool), times(turn)) == ("execute_tool book", (1100, 3000), (0, 3000))
    assert tool.attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "book",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": "t1",
    }
    assert tool.error is None


def test_a_tool_call_before_the_first_turn_lies_in_the_call() -> None:
    call = Call()
    call.system("tool.started", 100, name="look up")
    call.system("tool.completed", 300, name="look up")
    call.bot(500, 900)
    (tool,) = tools_of(call.span())
    assert times(tool) == (100, 300)


def test_calls_of_one_name_end_in_the_order_in_which_they_began() -> None:
    call = Call()
    for at in (0, 100):
        call.system("tool.started", at, name="ask")
    call.system("tool.completed", 200, name="ask")
    call.system("tool.failed", 300, name="ask", error="no answer")
    first, second = tools_of(call.span())
    assert (times(first), first.error) == ((0, 200), None)
    assert (times(second), second.error, second.message) == ((100, 300), "tool_failed", "no answer")


def test_an_end_before_its_start_or_without_one_makes_one_span_that_lasts_as_it_says() -> None:
    call = Call()
    call.system("tool.timed_out", 1000, name="a", callId="t1", durationMs=400)
    call.system("tool.started", 1001, name="a", callId="t1")
    call.system("tool.completed", 2000, name="b")
    early, endless = tools_of(call.span())
    assert (times(early), early.error) == ((600, 1000), "timeout")
    assert times(endless) == (2000, 2000)


def test_a_cancelled_call_is_no_error_and_one_that_never_ends_lasts_until_the_end() -> None:
    call = Call(ended=5000)
    call.system("tool.started", 0, name="a")
    call.system("tool.cancelled", 100, name="a")
    call.system("tool.started", 200, name="b")
    cancelled, running = tools_of(call.span())
    assert cancelled.error is None
    assert cancelled.attributes["turnwire.tool.cancelled"] is True
    assert times(running) == (200, 5000)
    assert running.attributes["turnwire.tool.unfinished"] is True


def test_tokens_are_summed_in_the_turn_in_which_they_were_used_and_the_model_is_named() -> None:
    call = Call()
    call.user(0, 1000)
    call.system("usage", 1200, kind="llm", provider="openai", model="gpt", inputTokens=10, outputTokens=2)
    call.system("usage", 1300, kind="tts", provider="other", model="voice", characters=9)
    call.system("usage", 1400, kind="llm", provider="openai", model="gpt", inputTokens=5, outputTokens=True)
    call.bot(1500, 2000)
    (turn,) = call.turns()
    used = {key: value for key, value in turn.attributes.items() if key.startswith(("gen_ai.usage", "gen_ai.pro"))}
    assert used == {
        "gen_ai.usage.input_tokens": 15,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.provider.name": "openai",
    }
    assert turn.attributes["gen_ai.request.model"] == "gpt"


def test_texts_arguments_and_results_are_shown_only_if_asked_for() -> None:
    def shown(texts: bool) -> set[str]:
        call = Call(texts=texts)
        call.user(0, 1000, text="Monday, please")
        call.system("tool.started", 1100, name="book", arguments={"day": "Monday"})
        call.system("tool.completed", 1200, name="book", results=[1])
        call.bot(1500, 2000, text="Done")
        (turn,) = call.turns()
        (tool,) = tools_of(turn)
        assert not texts or msgspec.json.decode(str(turn.attributes["gen_ai.input.messages"])) == [
            {"role": "user", "parts": [{"type": "text", "content": "Monday, please"}]}
        ]
        return set(turn.attributes) | set(tool.attributes)

    assert shown(True) - shown(False) == {
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
    }


def test_the_call_spans_everything_and_says_how_it_ended_and_what_went_wrong() -> None:
    call = Call(status="failed", end_reason="abandoned", ended=1000, metadata={"agent": "a", "bot": " "})
    call.system("error", 500, code="llm", message="no answer")
    call.bot(700, 2500)
    span = call.span()
    assert (span.name, times(span), span.error) == ("call", (0, 2500), "abandoned")
    assert span.attributes == {
        "gen_ai.conversation.id": "c",
        "gen_ai.agent.name": "a",
        "turnwire.session.status": "failed",
        "turnwire.session.end_reason": "abandoned",
        "turnwire.session.language": "en",
        "turnwire.session.events": 0,
    }
    (mark,) = span.marks
    assert (mark.name, mark.at - ZERO) == ("exception", 500)
    assert mark.attributes == {"exception.type": "llm", "exception.message": "no answer"}


def test_a_call_without_events_is_one_span() -> None:
    span = Call(ended=0, begun=False).span()
    assert (times(span), span.children, span.error) == ((0, 0), [], None)


def test_a_very_long_call_keeps_its_first_turns_and_says_that_others_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(call_reader, "MOST_SPANS", 7)
    call = Call()
    for at in range(0, 4000, 1000):
        call.user(at, at + 100)
        call.bot(at + 200, at + 300)
    span = call.span()
    assert (span.count(), len(span.children)) == (7, 2)
    assert span.attributes["turnwire.call.spans_left_out"] is True


@pytest.mark.parametrize("payload", [{"event": 1}, {"event": "error", "code": {"a": 1}}, {"event": "tool.failed"}])
def test_payloads_that_follow_no_convention_do_no_harm(payload: JsonObject) -> None:
    call = Call()
    call.take("system", 0, payload)
    call.take("user_speech", 1, {"text": 3, "startedMs": "x", "endedMs": -1, "turn": True})
    assert call.span().name == "call"

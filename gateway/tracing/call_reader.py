"""The trace of a call, made from its events: the call, its turns, and the speech and tool calls of each turn.

Names and attributes follow OpenTelemetry's GenAI conventions where those have any: a turn is an `invoke_agent` of the
call's conversation, a tool call an `execute_tool`. This module is pure and does not import OpenTelemetry.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from turnwire.gateway.tracing.shapes import SpanEvent, SpanShape, Value
from turnwire.gateway.tracing.speech import CallTurn, Speech, speech_spans, spoken_texts
from turnwire.gateway.tracing.tools import ENDS, ToolSpans, text_of
from turnwire.gateway.tracing.usage import Used, add_usage
from turnwire.protocol.messages import Event, EventType, JsonObject, Session, SessionFigures
from turnwire.protocol.talk.utterances import Side
from turnwire.protocol.times import parse_time, to_millis
from turnwire.protocol.values import unpacked

MOST_EVENTS: Final = 20_000
"""Maximum number of events in a call that are read for its trace."""
MOST_SPANS: Final = 2000
"""Maximum number of spans in one call. Later turns are left out."""
MOST_MARKS: Final = 100
"""Maximum number of errors that the trace of a call shows."""
_SIDES: Final[dict[EventType, Side]] = {"user_speech": "user", "bot_speech": "bot"}
_NAMES: Final = ("bot", "agent", "assistant", "name")


class CallReader:
    """Takes the events of one session in seq order, and makes the session's trace."""

    def __init__(self, session: Session, *, texts: bool) -> None:
        """`texts`: whether the trace shows what was said, and the arguments and results of tools."""
        self._session = session
        self._texts = texts
        self._zero: int | None = None
        self._latest = 0
        self._speech = Speech()
        self._tools = ToolSpans(texts=texts)
        self._used: list[Used] = []
        self._errors: list[SpanEvent] = []

    def take(self, event: Event) -> None:
        """Add the next event."""
        at = to_millis(parse_time(event.timestamp))
        if self._zero is None:
            self._zero = at
        offset = max(0, at - self._zero)
        self._latest = max(self._latest, offset)
        side = _SIDES.get(event.type)
        if side is not None:
            self._speech.say(event.seq, side, event.payload, self._zero, offset)
        else:
            self._take_system(event.payload, at, offset)

    def _take_system(self, payload: JsonObject, at: int, offset: int) -> None:
        name = payload.get("event")
        if name == "tool.started":
            self._tools.started(payload, offset)
        elif isinstance(name, str) and name in ENDS:
            self._tools.ended(payload, offset)
        elif name == "interruption":
            self._speech.interrupt(payload)
        elif name == "usage":
            self._used.append(Used(offset, payload))
        elif name == "error" and len(self._errors) < MOST_MARKS:
            said = {"exception.type": payload.get("code"), "exception.message": payload.get("message")}
            shown: dict[str, Value] = {key: text for key, value in said.items() if (text := text_of(value))}
            self._errors.append(SpanEvent("exception", at, shown))

    def call(self) -> SpanShape:
        """Return the span of the call, with all others inside it."""
        session, zero = self._session, self._zero
        started, ended = to_millis(parse_time(session.started_at)), _millis_of(session.ended_at)
        call = SpanShape("call", started, max(started, ended or 0), call_attributes(session), marks=self._errors)
        if session.status == "failed":
            call.error = call.message = session.end_reason or "failed"
        if zero is not None:
            call.start = min(call.start, zero)
            call.end = max(call.end, zero + self._latest)
            self._fill(call, zero)
        return call

    def _fill(self, call: SpanShape, zero: int) -> None:
        turns = list(self._speech.turns())
        starts = [turn.start for turn in turns]
        spans = [self._turn(index, turn, zero) for index, turn in enumerate(turns)]
        strays = []
        for tool in self._tools.spans(call.end - zero):
            turn = _turn_at(starts, tool.start)
            tool.start, tool.end = zero + tool.start, zero + tool.end
            if turn is None:
                strays.append(tool)
            else:
                spans[turn].children.append(tool)
                spans[turn].end = max(spans[turn].end, tool.end)
        for used in self._used:
            turn = _turn_at(starts, used.offset)
            add_usage((call if turn is None else spans[turn]).attributes, used.payload)
        call.children = _within_bound(call, [*strays, *spans])
        call.end = max([call.end, *(child.end for child in call.children)])

    def _turn(self, index: int, turn: CallTurn, zero: int) -> SpanShape:
        name = agent_name(self._session)
        attributes: dict[str, Value] = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.conversation.id": self._session.session_id,
            "turnwire.turn.index": index,
        }
        if name is not None:
            attributes["gen_ai.agent.name"] = name
        if turn.waited is not None:
            attributes["turnwire.turn.response_ms"] = turn.waited
        if self._speech.was_interrupted(turn):
            attributes["turnwire.turn.interrupted"] = True
        if self._texts:
            attributes |= spoken_texts(turn)
        title = "invoke_agent" if name is None else f"invoke_agent {name}"
        span = SpanShape(title, zero + turn.start, zero + turn.end, attributes)
        span.children = speech_spans(turn, zero)
        return span


def agent_name(session: Session) -> str | None:
    """Return the name of the call's bot from the metadata, chosen as in the dashboard; None without a name."""
    metadata = unpacked(session.metadata)
    for key in _NAMES:
        value = metadata.get(key)
        if isinstance(value, str) and value.strip():
            return value[:200]
    return None


def call_attributes(session: Session) -> dict[str, Value]:
    """Return the attributes of a call."""
    given = {
        "gen_ai.conversation.id": session.session_id,
        "gen_ai.agent.name": agent_name(session),
        "turnwire.session.status": session.status,
        "turnwire.session.end_reason": session.end_reason,
        "turnwire.session.language": session.language,
        "turnwire.session.events": session.last_seq,
    }
    return {key: value for key, value in (given | _figures(session.figures)).items() if value is not None}


def _figures(figures: SessionFigures | None) -> dict[str, str | int | None]:
    if figures is None:
        return {}
    return {
        "turnwire.call.turns": figures.turns,
        "turnwire.call.response_p50_ms": figures.response_p50_ms,
        "turnwire.call.response_p95_ms": figures.response_p95_ms,
        "turnwire.call.missed": figures.missed,
        "turnwire.call.interruptions.by_user": figures.interruptions.by_user,
        "turnwire.call.interruptions.by_bot": figures.interruptions.by_bot,
        "turnwire.call.tools_failed": figures.tools_failed,
        "turnwire.call.errors": figures.errors,
    }


def _turn_at(starts: Sequence[int], offset: int) -> int | None:
    """Return the last turn that has begun by this time; None before the first. `starts`: when each turn began."""
    return bisect_right(starts, offset) - 1 if starts and starts[0] <= offset else None


def _within_bound(call: SpanShape, spans: list[SpanShape]) -> list[SpanShape]:
    kept, count = [], 1
    for span in sorted(spans, key=lambda each: each.start):
        count += span.count()
        if count > MOST_SPANS:
            call.attributes["turnwire.call.spans_left_out"] = True
            break
        kept.append(span)
    return kept


def _millis_of(at: str | None) -> int | None:
    return None if at is None else to_millis(parse_time(at))

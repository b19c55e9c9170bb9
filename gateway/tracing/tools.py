"""The tool calls of a call as spans."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from turnwire.gateway.tracing.shapes import SpanShape, Value
from turnwire.protocol.messages import JsonObject
from turnwire.protocol.talk.conventions import millis
from turnwire.protocol.talk.tool_calls import tool_key

ENDS: Final = frozenset({"tool.completed", "tool.failed", "tool.cancelled", "tool.timed_out"})
_ERRORS: Final = {"tool.failed": "tool_failed", "tool.timed_out": "timeout"}
_MESSAGE_CHARS: Final = 500


class _Running(Struct):
    payload: JsonObject
    start: int


class ToolSpans:
    """Collects tool calls. Times are in milliseconds of the call.

    As in the figures, an end belongs to the oldest running tool call with the same `callId`, or else with the same
    `name`. With a `callId`, the end may come before the start.
    """

    def __init__(self, *, texts: bool) -> None:
        """`texts`: whether arguments and results are to be shown."""
        self._texts = texts
        self._running: dict[str, list[_Running]] = {}
        self._early: set[str] = set()
        self._done: list[SpanShape] = []

    def started(self, payload: JsonObject, offset: int) -> None:
        key = tool_key(payload)
        if key in self._early:
            self._early.remove(key)
        else:
            self._running.setdefault(key, []).append(_Running(payload, offset))

    def ended(self, payload: JsonObject, offset: int) -> None:
        """Take an event that ends a tool call, one of ENDS."""
        key = tool_key(payload)
        waiting = self._running.get(key)
        if waiting:
            begun, start = waiting[0].payload, waiting.pop(0).start
        else:
            begun, start = {}, max(0, offset - (millis(payload.get("durationMs")) or 0))
            if "callId" in payload:
                self._early.add(key)
        event = payload["event"]
        span = self._span(begun, payload, start, max(start, offset))
        span.error = _ERRORS.get(event)
        if span.error is not None:
            span.message = text_of(payload.get("error"))
        if event == "tool.cancelled":
            span.attributes["turnwire.tool.cancelled"] = True
        self._done.append(span)

    def spans(self, end: int) -> list[SpanShape]:
        """Return all spans in the order of their starts. Calls still running end at `end`."""
        left = [each for waiting in self._running.values() for each in waiting]
        for each in left:
            span = self._span(each.payload, {}, each.start, max(each.start, end))
            span.attributes["turnwire.tool.unfinished"] = True
            self._done.append(span)
        self._running.clear()
        return sorted(self._done, key=lambda span: span.start)

    def _span(self, begun: JsonObject, ended: JsonObject, start: int, end: int) -> SpanShape:
        told = {**ended, **begun}
        name = told.get("name")
        name = name if isinstance(name, str) else "unknown"
        attributes: dict[str, Value] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.type": "function",
        }
        if isinstance(call_id := told.get("callId"), str):
            attributes["gen_ai.tool.call.id"] = call_id
        if self._texts:
            shown = {"arguments": told.get("arguments"), "result": ended.get("results", ended.get("result"))}
            attributes |= {f"gen_ai.tool.call.{key}": _json(value) for key, value in shown.items() if value is not None}
        return SpanShape(f"execute_tool {name}", start, end, attributes)


def text_of(value: Any) -> str | None:
    """Return the message of an error, cut to 500 characters; None if there is none."""
    if value is None:
        return None
    return (value if isinstance(value, str) else _json(value))[:_MESSAGE_CHARS]


def _json(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()

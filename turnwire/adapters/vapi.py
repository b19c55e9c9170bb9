"""Vapi: server messages (the bodies of its webhook), mapped to events with ids derived from their content.

from turnwire.adapters.vapi import webhook
from turnwire.adapters.webhook import store

await store(client, webhook(body))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from turnwire.adapters.call_notes import CallNotes
from turnwire.adapters.fields_of import decoded, field
from turnwire.adapters.mapped import Collected, moment, stable_id
from turnwire.adapters.webhook import Ended, Unknown, Webhook

__all__ = ["Unknown", "webhook"]

METERS: dict[str, tuple[str, Callable[[Any], dict[str, Any]]]] = {
    "model": (
        "llm",
        lambda cost: {"inputTokens": field(cost, "promptTokens"), "outputTokens": field(cost, "completionTokens")},
    ),
    "transcriber": ("stt", lambda cost: {"audioSeconds": _seconds(field(cost, "minutes"))}),
    "voice": ("tts", lambda cost: {"characters": field(cost, "characters")}),
}
"""Vapi's type of cost → the kind of usage, and a function for the amounts."""

FAILURES = ("error", "failed", "fault", "timed-out")
"""Parts of the reason by which a call counts as failed."""


def webhook(body: Any) -> Webhook:
    """Map one server message. Raises Unknown for a body that is not about a call.

    Vapi's messages have no ids. Event ids are derived from kind, time and text, so that a repeated message adds
    nothing.
    """
    message = field(body, "message")
    session_id = field(message, "call", "id")
    if not isinstance(session_id, str) or not session_id:
        raise Unknown("there is no message.call.id")
    collected = Collected()
    _Message(CallNotes(collected, clock=lambda: 0.0, began=0.0), message).tell()
    facts = {"framework": "vapi", "assistantId": field(message, "call", "assistantId")}
    ended = None
    if field(message, "type") == "end-of-call-report":
        reason = str(field(message, "endedReason") or "ended")[:256]
        ended = Ended("failed" if any(word in reason for word in FAILURES) else "completed", reason)
    return Webhook.of(session_id, collected.take(), metadata=facts, ended=ended)


class _Message:
    """The mapping of one message to notes."""

    def __init__(self, notes: CallNotes, message: Any) -> None:
        self._notes = notes
        self._message = message
        milliseconds = field(message, "timestamp")
        self._at = moment(milliseconds / 1000) if isinstance(milliseconds, int | float) else None

    def tell(self) -> None:
        steps: dict[str, Callable[[], None]] = {
            "transcript": self._transcript,
            'transcript[transcriptType="final"]': self._transcript,
            "speech-update": self._speech,
            "status-update": self._status,
            "tool-calls": self._tools,
            "conversation-update": self._results,
            "user-interrupted": self._interrupted,
            "transfer-update": self._transfer,
            "language-change-detected": self._language,
            "hang": self._hang,
            "end-of-call-report": self._report,
        }
        step = steps.get(str(field(self._message, "type")))
        if step is not None:
            step()

    def _note(self, event: str, *parts: Any, **facts: Any) -> None:
        self._notes.note(event, event_id=self._id(event, *parts), timestamp=self._at, **facts)

    def _id(self, *parts: Any) -> str:
        return stable_id(*parts, field(self._message, "timestamp"))

    def _transcript(self) -> None:
        side = field(self._message, "role") == "user"
        text = (field(self._message, "transcript") or "").strip()
        if field(self._message, "transcriptType") == "partial":
            self._notes.heard_so_far("user" if side else "bot", text)
        elif text:
            self._notes.said(
                "user" if side else "bot",
                text,
                confidence=field(self._message, "confidence"),
                event_id=self._id("transcript", field(self._message, "role"), text),
                timestamp=self._at,
            )

    def _speech(self) -> None:
        side = "user" if field(self._message, "role") == "user" else "bot"
        status = field(self._message, "status")
        state = "speaking" if status == "started" else "listening"
        self._note(f"{side}.state", status, field(self._message, "turn"), state=state)

    def _status(self) -> None:
        status = field(self._message, "status")
        if status == "in-progress":
            self._notes.note("call.started", event_id="call.started", timestamp=self._at, framework="vapi")
        elif status != "ended":
            self._note("call.status", status, status=status)

    def _tools(self) -> None:
        for call in field(self._message, "toolCallList") or field(self._message, "toolCalls") or []:
            call_id = str(field(call, "id"))
            self._notes.note(
                "tool.started",
                event_id=f"{call_id}:started",
                timestamp=self._at,
                name=field(call, "function", "name") or field(call, "name"),
                callId=call_id,
                arguments=decoded(field(call, "function", "arguments") or field(call, "arguments")),
            )

    def _results(self) -> None:
        """Post the results of tools, from the conversation: no separate message reports them."""
        messages = field(self._message, "messages") or field(self._message, "artifact", "messages") or []
        for item in messages:
            if field(item, "role") in {"tool_call_result", "tool"}:
                call_id = str(field(item, "toolCallId"))
                ended = field(item, "time")
                self._notes.note(
                    "tool.completed",
                    event_id=f"{call_id}:ended",
                    timestamp=moment(ended / 1000) if isinstance(ended, int | float) else None,
                    name=field(item, "name"),
                    callId=call_id,
                    result=decoded(field(item, "result")),
                )

    def _interrupted(self) -> None:
        self._note("interruption", field(self._message, "turnId"), by="user")

    def _transfer(self) -> None:
        target = field(self._message, "toAssistant", "name") or field(self._message, "destination")
        self._note("handoff", **{"from": field(self._message, "fromAssistant", "name")}, to=target)

    def _language(self) -> None:
        self._note("language", language=field(self._message, "language"))

    def _hang(self) -> None:
        self._note("hang")

    def _report(self) -> None:
        """Post what only the last message has: usage, analysis and the end."""
        self._results()
        for index, cost in enumerate(field(self._message, "costs") or []):
            meter = METERS.get(str(field(cost, "type")))
            if meter is not None:
                kind, amounts = meter
                used = field(cost, str(field(cost, "type"))) or {}
                self._notes.note(
                    "usage",
                    event_id=f"usage:{index}",
                    timestamp=self._at,
                    kind=kind,
                    provider=field(used, "provider"),
                    model=field(used, "model") or field(used, "voiceId"),
                    cost=field(cost, "cost"),
                    **amounts(cost),
                )
        analysis = field(self._message, "analysis")
        if analysis:
            self._notes.note(
                "call.analysis",
                event_id="call.analysis",
                timestamp=self._at,
                summary=field(analysis, "summary"),
                success=field(analysis, "successEvaluation"),
                data=field(analysis, "structuredData"),
                recordingUrl=field(self._message, "artifact", "recordingUrl"),
            )
        reason = field(self._message, "endedReason")
        self._notes.note("call.ended", event_id="call.ended", timestamp=self._at, reason=reason)


def _seconds(minutes: Any) -> float | None:
    return round(minutes * 60, 3) if isinstance(minutes, int | float) else None

"""Retell: its webhooks, mapped to events. Each has the whole transcript so far, so ids are positions in it.

from turnwire.adapters.retell import webhook
from turnwire.adapters.webhook import store

await store(client, webhook(body))
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from turnwire.adapters.call_notes import CallNotes
from turnwire.adapters.fields_of import decoded, field
from turnwire.adapters.mapped import Collected, moment
from turnwire.adapters.webhook import Ended, Unknown, Webhook

__all__ = ["Unknown", "webhook"]

OVER = {"call_ended", "call_analyzed"}
"""The events after which the last item of the transcript no longer grows."""


def webhook(body: Any) -> Webhook:
    """Map one webhook. The last item of the transcript is left out while the call lasts, because its text may grow.

    Raises Unknown for a body that is not about a call.
    """
    call, kind = field(body, "call"), str(field(body, "event"))
    session_id = field(call, "call_id")
    if not isinstance(session_id, str) or not session_id:
        raise Unknown("there is no call.call_id")
    collected = Collected()
    told = _Call(CallNotes(collected, clock=lambda: 0.0, began=0.0), call)
    told.started()
    told.transcript(is_over=kind in OVER)
    ended = None
    if kind.startswith("transfer_"):
        told.transfer(kind, body)
    if kind in OVER:
        told.over()
        failed = field(call, "call_status") == "error"
        reason = str(field(call, "disconnection_reason") or "ended")[:256]
        ended = Ended("failed" if failed else "completed", reason)
    if kind == "call_analyzed":
        told.analysed()
    facts = {"framework": "retell", "agentId": field(call, "agent_id"), **(field(call, "metadata") or {})}
    return Webhook.of(session_id, collected.take(), metadata=facts, ended=ended)


class _Call:
    """The mapping of one call to notes."""

    def __init__(self, notes: CallNotes, call: Any) -> None:
        self._notes = notes
        self._call = call
        started = field(call, "start_timestamp")
        self._began = started / 1000 if isinstance(started, int | float) else None
        self._turn = 0
        self._bot_has_spoken = True
        self._steps: dict[str, Callable[[str, Any], None]] = {
            "agent": self._speech,
            "user": self._speech,
            "transfer_target": self._speech,
            "tool_call_invocation": self._tool,
            "tool_call_result": self._result,
            "node_transition": self._node,
            "dtmf": self._key_pressed,
        }

    def started(self) -> None:
        self._notes.note("call.started", event_id="call.started", timestamp=self._moment(0.0), framework="retell")

    def transcript(self, *, is_over: bool) -> None:
        items = field(self._call, "transcript_with_tool_calls") or []
        for index, item in enumerate(items if is_over else items[:-1]):
            step = self._steps.get(str(field(item, "role")))
            if step is not None:
                step(f"{index}", item)

    def _speech(self, index: str, item: Any) -> None:
        role = field(item, "role")
        is_backchannel = bool(field(item, "metadata", "is_backchannel"))
        self._count_turn(role, is_backchannel)
        words = [word for word in field(item, "words") or [] if field(word, "start") is not None]
        started = field(words[0], "start") if words else None
        ended = field(words[-1], "end") if words else None
        text = (field(item, "content") or "").strip()
        if text:
            self._notes.said(
                "bot" if role == "agent" else "user",
                text,
                turn=self._turn,
                started=started,
                ended=ended,
                source="backchannel" if is_backchannel else None,
                speaker="transfer_target" if role == "transfer_target" else None,
                event_id=f"item:{index}",
                timestamp=self._moment(ended),
            )

    def _count_turn(self, role: Any, is_backchannel: bool) -> None:
        if role == "user" and not is_backchannel and self._bot_has_spoken:
            self._turn += 1
            self._bot_has_spoken = False
        elif role == "agent":
            self._bot_has_spoken = True

    def _tool(self, index: str, item: Any) -> None:
        call_id = str(field(item, "tool_call_id"))
        arguments = decoded(field(item, "arguments"))
        name = field(item, "name")
        self._notes.note("tool.started", event_id=f"{call_id}:started", name=name, callId=call_id, arguments=arguments)

    def _result(self, index: str, item: Any) -> None:
        call_id, content = str(field(item, "tool_call_id")), decoded(field(item, "content"))
        if field(item, "successful") is False:
            self._notes.note("tool.failed", event_id=f"{call_id}:ended", callId=call_id, error=content)
        else:
            self._notes.note("tool.completed", event_id=f"{call_id}:ended", callId=call_id, result=content)

    def _node(self, index: str, item: Any) -> None:
        before = {"from": field(item, "former_node_name")}
        kind = field(item, "transition_type")
        self._notes.note("node", event_id=f"item:{index}", name=field(item, "new_node_name"), **before, transition=kind)

    def _key_pressed(self, index: str, item: Any) -> None:
        self._notes.note("dtmf", event_id=f"item:{index}", by="user", digits=str(field(item, "digit")))

    def transfer(self, kind: str, body: Any) -> None:
        target = field(body, "transfer_destination") or field(self._call, "transfer_destination")
        self._notes.note("handoff", event_id=kind, to=target, status=kind.removeprefix("transfer_"))

    def over(self) -> None:
        tokens = field(self._call, "llm_token_usage", "values")
        if tokens:
            self._notes.note(
                "usage", event_id="usage:llm", kind="llm", provider="retell", inputTokens=round(sum(tokens))
            )
        reason = field(self._call, "disconnection_reason")
        at = field(self._call, "end_timestamp")
        ended = moment(at / 1000) if isinstance(at, int | float) else None
        self._notes.note("call.ended", event_id="call.ended", timestamp=ended, reason=reason)

    def analysed(self) -> None:
        analysis = field(self._call, "call_analysis")
        self._notes.note(
            "call.analysis",
            event_id="call.analysis",
            summary=field(analysis, "call_summary"),
            success=field(analysis, "call_successful"),
            sentiment=field(analysis, "user_sentiment"),
            data=field(analysis, "custom_analysis_data"),
            recordingUrl=field(self._call, "recording_url"),
        )

    def _moment(self, seconds: float | None) -> datetime | None:
        return None if self._began is None or seconds is None else moment(self._began + seconds)

"""The function tools of an AgentSession, from `tool_execution_updated`."""

from __future__ import annotations

from typing import Any

from turnwire.adapters.call_notes import CallNotes
from turnwire.adapters.fields_of import decoded


class LiveKitTools:
    """The tool calls that have not ended."""

    def __init__(self, notes: CallNotes) -> None:
        self._notes = notes
        self._running: dict[str, tuple[str, float]] = {}

    def updated(self, event: Any) -> None:
        """Handle a ToolExecutionUpdatedEvent. Ignore `tool_reply_updated`, which is about speech."""
        update = event.update
        if update.type == "tool_call_started":
            call = update.function_call
            self._running[call.call_id] = (call.name, event.created_at)
            self._notes.note("tool.started", name=call.name, callId=call.call_id, arguments=decoded(call.arguments))
        elif update.type == "tool_call_updated":
            name, _ = self._running.get(update.call_id, (None, 0.0))
            self._notes.note("tool.progress", name=name, callId=update.call_id, result=update.message)
        elif update.type == "tool_call_ended":
            self._ended(update, event.created_at)

    def call_over(self, at: float) -> None:
        """Post the tool calls that have not ended as cancelled."""
        for call_id, (name, started) in self._running.items():
            self._notes.note("tool.cancelled", name=name, callId=call_id, durationMs=round((at - started) * 1000))
        self._running.clear()

    def _ended(self, update: Any, at: float) -> None:
        name, started = self._running.pop(update.call_id, (None, None))
        facts: dict[str, Any] = {"name": name, "callId": update.call_id}
        duration = None if started is None else round((at - started) * 1000)
        if update.status == "error":
            self._notes.note("tool.failed", **facts, durationMs=duration, error=update.message or "it raised an error")
        elif update.status == "cancelled":
            self._notes.note("tool.cancelled", **facts, durationMs=duration)
        else:
            self._notes.note("tool.completed", **facts, durationMs=duration, result=decoded(update.message))

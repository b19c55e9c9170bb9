"""The function and MCP calls of a Realtime session."""

from __future__ import annotations

from typing import Any

from turnwire.adapters.call_notes import CallNotes
from turnwire.adapters.fields_of import decoded, field


class RealtimeTools:
    """The calls that have not ended. The client runs functions and answers with an item; the server runs MCP tools."""

    def __init__(self, notes: CallNotes) -> None:
        self._notes = notes
        self._running: dict[str, tuple[str | None, float]] = {}

    def item_added(self, event: Any, now: float) -> None:
        """Start an MCP call when the server adds its item. The arguments arrive later."""
        item = field(event, "item")
        if field(item, "type") == "mcp_call":
            self._start(str(field(item, "id")), field(item, "name"), decoded(field(item, "arguments")), now)

    def item_done(self, event: Any, now: float) -> None:
        item = field(event, "item")
        if field(item, "type") == "function_call" and field(item, "status") != "incomplete":
            self._start(str(field(item, "call_id")), field(item, "name"), decoded(field(item, "arguments")), now)
        elif field(item, "type") == "mcp_call":
            call_id = str(field(item, "id"))
            self._start(call_id, field(item, "name"), decoded(field(item, "arguments")), now)
            error = field(item, "error")
            if error is not None:
                self._end("tool.failed", call_id, now, error=field(error, "message") or error)
            else:
                self._end("tool.completed", call_id, now, result=decoded(field(item, "output")))

    def answered(self, item: Any, now: float) -> None:
        """End a call with the client's output. Ignore later events about the same item."""
        call_id = str(field(item, "call_id"))
        if call_id in self._running:
            self._end("tool.completed", call_id, now, result=decoded(field(item, "output")))

    def call_over(self, now: float) -> None:
        """Post the calls that have not ended as cancelled."""
        for call_id in list(self._running):
            self._end("tool.cancelled", call_id, now)

    def _start(self, call_id: str, name: str | None, arguments: Any, now: float) -> None:
        if call_id not in self._running:
            self._running[call_id] = (name, now)
            self._notes.note(
                "tool.started", name=name, callId=call_id, arguments=arguments or None, event_id=f"{call_id}:started"
            )

    def _end(self, event: str, call_id: str, now: float, **facts: Any) -> None:
        name, started = self._running.pop(call_id)
        self._notes.note(
            event,
            name=name,
            callId=call_id,
            durationMs=round((now - started) * 1000),
            event_id=f"{call_id}:ended",
            **facts,
        )

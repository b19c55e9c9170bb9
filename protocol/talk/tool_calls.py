"""Counting tool calls from their events: how many run, and how many failed."""

from __future__ import annotations

from turnwire.protocol.messages import JsonObject

_BY_ID = "callId:"
_FAILURES = {"tool.failed", "tool.timed_out"}


class ToolCalls:
    """Counts of tool calls. An end is matched with a running call of the same `callId`, or else of the same `name`.


    With a `callId` it may also arrive before the start.
    """

    __slots__ = ("_by_key", "_early", "calls", "failed", "running")

    def __init__(self) -> None:
        self.calls = self.failed = self.running = 0
        self._by_key: dict[str, int] = {}
        self._early: set[str] = set()
        """Calls that have ended, and whose start has not been reported."""

    def copy(self) -> ToolCalls:
        """Return a copy that later events do not change."""
        made = ToolCalls()
        made.calls, made.failed, made.running, made._by_key = self.calls, self.failed, self.running, dict(self._by_key)
        made._early = set(self._early)
        return made

    def take(self, payload: JsonObject) -> None:
        """Count `tool.started`, or one of the four ends. A cancelled call has not failed."""
        key, event = tool_key(payload), payload["event"]
        if event == "tool.started":
            if key in self._early:
                self._early.remove(key)
                return
            self.calls += 1
            self.running += 1
            self._by_key[key] = self._by_key.get(key, 0) + 1
            return
        running = self._by_key.pop(key, 0)
        if running > 1:
            self._by_key[key] = running - 1
        if running:
            self.running -= 1
        else:  # its start has not been reported
            self.calls += 1
            if key.startswith(_BY_ID):
                self._early.add(key)
        self.failed += event in _FAILURES


def tool_key(payload: JsonObject) -> str:
    """Return what distinguishes a tool call from others that run at the same time."""
    for field in ("callId", "name"):
        value = payload.get(field)
        if isinstance(value, str):
            return f"{field}:{value}"
    return ""

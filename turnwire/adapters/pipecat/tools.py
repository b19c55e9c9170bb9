"""The function calls of a pipeline, from the model's wish to whatever became of it."""

from __future__ import annotations

from typing import Any

from turnwire.adapters.call_notes import CallNotes


class Tools:
    """Function calls that have no end yet."""

    def __init__(self, notes: CallNotes) -> None:
        self._notes = notes
        self._running: dict[str, tuple[str, float]] = {}

    def wanted(self, frame: Any, at: float) -> None:
        """FunctionCallsStartedFrame, and the one of functions that a provider runs itself."""
        for call in frame.function_calls:
            self._start(call.tool_call_id, call.function_name, getattr(call, "arguments", None), at)

    def runs(self, frame: Any, at: float) -> None:
        """FunctionCallInProgressFrame: from here on the function itself takes its time."""
        self._start(frame.tool_call_id, frame.function_name, frame.arguments, at)
        self._running[frame.tool_call_id] = (frame.function_name, at)

    def answered(self, frame: Any, at: float) -> None:
        properties = getattr(frame, "properties", None)
        is_final = properties.is_final if properties is not None else getattr(frame, "is_final", True)
        if not is_final:
            self._notes.note("tool.progress", name=frame.function_name, callId=frame.tool_call_id, result=frame.result)
        elif getattr(frame, "error", None):
            self._end("tool.failed", frame.tool_call_id, frame.function_name, at, error=frame.error)
        else:
            self._end("tool.completed", frame.tool_call_id, frame.function_name, at, result=frame.result)

    def cancelled(self, frame: Any, at: float) -> None:
        """FunctionCallCancelFrame: only the deadline of a call asks the model to go on after it."""
        event = "tool.timed_out" if getattr(frame, "run_llm", False) else "tool.cancelled"
        self._end(event, frame.tool_call_id, frame.function_name, at)

    def call_over(self, at: float) -> None:
        for call_id, (name, _) in list(self._running.items()):
            self._end("tool.cancelled", call_id, name, at)

    def _start(self, call_id: str, name: str, arguments: Any, at: float) -> None:
        if call_id not in self._running:
            self._running[call_id] = (name, at)
            self._notes.note("tool.started", name=name, callId=call_id, arguments=arguments)

    def _end(self, event: str, call_id: str, name: str, at: float, **facts: Any) -> None:
        _, started = self._running.pop(call_id, (name, None))
        duration = None if started is None else max(0, round((at - started) * 1000))
        self._notes.note(event, name=name, callId=call_id, durationMs=duration, **facts)

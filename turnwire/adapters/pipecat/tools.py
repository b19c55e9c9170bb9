"""The function calls of a pipeline, from the model's request to the outcome."""

from __future__ import annotations

from typing import Any

from turnwire.adapters.call_notes import CallNotes


class PipecatTools:
    """The function calls that have not ended."""

    def __init__(self, notes: CallNotes) -> None:
        self._notes = notes
        self._running: dict[str, tuple[str, float]] = {}

    def wanted(self, frame: Any, at: float) -> None:
        """Handle FunctionCallsStartedFrame, and its variant for functions that a provider runs itself."""
        for call in frame.function_calls:
            self._start(call.tool_call_id, call.function_name, getattr(call, "arguments", None), at)

    def runs(self, frame: Any, at: float) -> None:
        """Handle FunctionCallInProgressFrame, from which the function's duration is measured."""
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
        """Handle FunctionCallCancelFrame. Only after a timeout does it ask the model to continue."""
        event = "tool.timed_out" if getattr(frame, "run_llm", False) else "tool.cancelled"
        self._end(event, frame.tool_call_id, frame.function_name, at)

    def call_over(self, at: float) -> None:
        """Post the calls that have not ended as cancelled."""
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

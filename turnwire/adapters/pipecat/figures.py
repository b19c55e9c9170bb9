"""The latencies of an answer's stages, and the usage of services, from Pipecat's reports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from turnwire.adapters.call_notes import CallNotes

STAGES = {
    "endpointing_wait": "endpointingMs",
    "transcription": "sttMs",
    "turn_detection": "turnDetectionMs",
    "llm_inference": "llmMs",
    "llm_tool_call": "llmMs",
    "turn_completion": "llmMs",
    "awaiting_speakable_text": "llmMs",
    "function_handler": "toolMs",
    "sentence_aggregation": "aggregationMs",
    "speech_synthesis": "ttsMs",
    "output_transport": "outputMs",
}
"""Part of Pipecat's LatencyBreakdown → the field of `metrics.turn` to which it is added."""

Amounts = dict[str, float]


def tokens(value: Any) -> Amounts:
    return {"inputTokens": value.prompt_tokens, "outputTokens": value.completion_tokens}


METERS: dict[str, tuple[str, Callable[[Any], Amounts]]] = {
    "LLMUsageMetricsData": ("llm", tokens),
    "TTSUsageMetricsData": ("tts", lambda value: {"characters": value}),
    "STTUsageMetricsData": ("stt", lambda value: {"audioSeconds": value.audio_seconds}),
}


class UsageTally:
    """The sums of what services report for each piece of work, posted once per exchange."""

    def __init__(self, notes: CallNotes) -> None:
        self._notes = notes
        self._used: dict[tuple[str, str, str | None], Amounts] = {}

    def reported(self, frame: Any, at: float) -> None:
        """Handle MetricsFrame."""
        for data in frame.data:
            meter = METERS.get(type(data).__name__)
            if meter is not None:
                kind, amounts_of = meter
                key = (kind, data.processor.partition("#")[0], data.model or None)
                used = self._used.setdefault(key, defaultdict(float))
                for name, amount in amounts_of(data.value).items():
                    used[name] += amount or 0

    def tell(self) -> None:
        """Post the sums, and start again."""
        for (kind, provider, model), used in self._used.items():
            amounts: dict[str, Any] = {
                name: int(amount) if amount == int(amount) else amount for name, amount in used.items()
            }
            self._notes.note("usage", kind=kind, provider=provider, model=model, **amounts)
        self._used.clear()


def stages(breakdown: Any) -> dict[str, Any]:
    """Return the fields of `metrics.turn`, in milliseconds, from a LatencyBreakdown."""
    spent: dict[str, float] = defaultdict(float)
    for part in breakdown.contributions:
        name = STAGES.get(part.key)
        if name is not None:
            spent[name] += part.duration_secs * 1000
    if breakdown.measured_from == "user_silence":
        spent["responseMs"] = breakdown.total_secs * 1000
    return {name: round(amount) for name, amount in spent.items()}

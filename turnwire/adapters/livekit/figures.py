"""The latencies of an answer's stages, and the usage of models, from LiveKit's reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KINDS = {"llm_usage": "llm", "tts_usage": "tts", "stt_usage": "stt"}
"""The kinds of LiveKit's usage records. Records of its detectors count requests, which are not billed."""


def stages(user: Mapping[str, Any], bot: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `metrics.turn`, in milliseconds, from the MetricsReports of a message and its answer."""
    transcription = user.get("transcription_delay")
    end_of_turn = user.get("end_of_turn_delay")
    first_token = bot.get("llm_node_ttft")
    first_sentence = bot.get("llm_node_ttfs")
    return {
        name: round(seconds * 1000)
        for name, seconds in {
            "sttMs": transcription,
            "turnDetectionMs": _less(end_of_turn, transcription),
            "llmMs": first_token,
            "aggregationMs": _less(first_sentence, first_token) if first_sentence is not None else None,
            "ttsMs": bot.get("tts_node_ttfb"),
            "outputMs": bot.get("playback_latency"),
            "responseMs": bot.get("e2e_latency"),
        }.items()
        if seconds is not None
    }


def _less(whole: float | None, part: float | None) -> float | None:
    return None if whole is None else max(0.0, whole - (part or 0.0))


def usage_of(record: Any) -> dict[str, Any] | None:
    """Return the fields of a `usage` event, or None for a record that is not billed."""
    kind = KINDS.get(record.type)
    if kind is None:
        return None
    amounts = {
        "inputTokens": getattr(record, "input_tokens", 0),
        "outputTokens": getattr(record, "output_tokens", 0),
        "characters": getattr(record, "characters_count", 0),
        "audioSeconds": round(getattr(record, "audio_duration", 0.0), 3),
    }
    return {
        "kind": kind,
        "provider": record.provider,
        "model": record.model,
        **{name: amount for name, amount in amounts.items() if amount},
    }

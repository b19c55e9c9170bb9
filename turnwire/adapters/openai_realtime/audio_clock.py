"""Times of a Realtime session: positions in the user's audio, and the duration of the bot's audio."""

from __future__ import annotations

from typing import Any

from turnwire.adapters.fields_of import field

BYTES_A_SECOND = {"audio/pcm": 48_000, "audio/pcmu": 8_000, "audio/pcma": 8_000}
"""Bytes per second of 16-bit audio at 24 kHz, and of telephone audio."""
SILENCE_MS, PADDING_MS = 500, 300
"""What the server's voice detection adds to an utterance by default."""


class AudioClock:
    """The clock of a session, calibrated by its configuration and by the arrival of messages. Times are in seconds."""

    def __init__(self) -> None:
        self._bytes_a_second = BYTES_A_SECOND["audio/pcm"]
        self._silence = 0.0
        self._padding = 0.0
        self._zero: float | None = None

    def configure(self, session: Any) -> None:
        """Read the configuration from `session.created` or `session.updated`."""
        kind = field(session, "audio", "output", "format", "type")
        self._bytes_a_second = BYTES_A_SECOND.get(str(kind), self._bytes_a_second)
        detection = field(session, "audio", "input", "turn_detection")
        is_by_silence = field(detection, "type") == "server_vad"
        silence, padding = field(detection, "silence_duration_ms"), field(detection, "prefix_padding_ms")
        self._silence = (SILENCE_MS if silence is None else silence) / 1000 if is_by_silence else 0.0
        self._padding = (PADDING_MS if padding is None else padding) / 1000 if is_by_silence else 0.0

    def began(self, audio_start_ms: float, now: float) -> float:
        """Return when the user began to speak. Audio that the server has heard cannot lie in the future."""
        self._hear(audio_start_ms / 1000 + self._padding, now)
        return self._at(audio_start_ms / 1000 + self._padding)

    def ended(self, audio_end_ms: float, now: float) -> float:
        """Return when the user stopped speaking, before the silence by which the server detects it."""
        self._hear(audio_end_ms / 1000, now)
        return self._at(audio_end_ms / 1000 - self._silence)

    def seconds_of(self, base64_chars: int) -> float:
        """Return the duration of audio that arrived as `base64_chars` characters of base64."""
        return base64_chars * 3 / 4 / self._bytes_a_second

    def _hear(self, audio: float, now: float) -> None:
        zero = now - audio
        self._zero = zero if self._zero is None else min(self._zero, zero)

    def _at(self, audio: float) -> float:
        assert self._zero is not None
        return self._zero + audio

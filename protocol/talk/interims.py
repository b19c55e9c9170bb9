"""What is being said at this moment, as the last signals told it: for those who join late."""

from __future__ import annotations

from collections.abc import Iterable

from turnwire.protocol.messages import EventType, JsonObject

MAX_KEYS = 8
"""Interims of one session; the oldest gives way."""
MAX_FIELDS = 16
MAX_CHARS = 4096
"""Of all texts of one interim. What is larger is shown to those who are there, and not kept."""
_SPEAKERS: dict[EventType, tuple[str, ...]] = {"user_speech": ("user",), "bot_speech": ("bot", "agent", "assistant")}
_ALL = tuple(name for names in _SPEAKERS.values() for name in names)


class Interims:
    """The last signal of each key that says whose speech it is. It goes when an utterance of that side is stored, as
    that replaces it; other signals (typing, voice activity) are only true when they come."""

    __slots__ = ("kept",)

    def __init__(self) -> None:
        self.kept: dict[str, JsonObject] = {}

    def keep(self, key: str, payload: JsonObject) -> None:
        self.kept.pop(key, None)
        if key.startswith(_ALL) and _is_small(payload):
            self.kept[key] = payload
            if len(self.kept) > MAX_KEYS:
                del self.kept[next(iter(self.kept))]

    def stored(self, types: Iterable[EventType]) -> None:
        """Events of these types have been stored."""
        if not self.kept:
            return
        speakers = tuple(name for type in set(types) for name in _SPEAKERS.get(type, ()))
        for key in [key for key in self.kept if key.startswith(speakers)]:
            del self.kept[key]


def _is_small(payload: JsonObject) -> bool:
    if len(payload) > MAX_FIELDS:
        return False
    values = payload.values()
    if any(isinstance(value, dict | list) for value in values):
        return False
    return sum(len(value) for value in (*payload, *values) if isinstance(value, str)) <= MAX_CHARS

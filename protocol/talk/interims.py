"""What is being said at this moment, taken from the latest signals, for subscribers that join late."""

from __future__ import annotations

from collections.abc import Iterable

from turnwire.protocol.messages import EventType, JsonObject

MAX_KEYS = 8
"""Maximum number of interims in one session; a newer one evicts the oldest."""
MAX_FIELDS = 16
"""Maximum number of fields of an interim that is kept."""
MAX_CHARS = 4096
"""Maximum number of characters in all texts together in an interim that is kept."""
_SPEAKERS: dict[EventType, tuple[str, ...]] = {"user_speech": ("user",), "bot_speech": ("bot", "agent", "assistant")}
_ALL = tuple(name for names in _SPEAKERS.values() for name in names)


class Interims:
    """The last signal of each key that names a speaker.

    A stored utterance of the same side replaces it. Other signals (typing, voice activity) are not kept, because they
    are true only at the moment when they arrive.
    """

    __slots__ = ("epoch", "kept")

    def __init__(self, epoch: int) -> None:
        """`epoch`: the epoch of the publisher that sends these signals."""
        self.epoch = epoch
        self.kept: dict[str, JsonObject] = {}

    def keep(self, key: str, payload: JsonObject) -> None:
        self.kept.pop(key, None)
        if key.startswith(_ALL) and _is_small(payload):
            self.kept[key] = payload
            if len(self.kept) > MAX_KEYS:
                del self.kept[next(iter(self.kept))]

    def stored(self, types: Iterable[EventType]) -> None:
        """Drop the interims that stored events of these types replace."""
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

"""Which messages an endpoint wants. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from turnwire.protocol.errors import InvalidMessage
from turnwire.protocol.messages import EventType, JsonObject
from turnwire.protocol.telling.shapes import EVENTS_PATTERN, MAX_EVENTS, MAX_NAME_CHARS

CREATED: Final = "session.created"
COMPLETED: Final = "session.completed"
FAILED: Final = "session.failed"
LIFE: Final = frozenset({CREATED, COMPLETED, FAILED})
_LIFE_PREFIX: Final = "session."
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_PATTERN: Final = re.compile(EVENTS_PATTERN)


def name_of(type: EventType, payload: JsonObject) -> str:
    """Return the type of the message about an event: `payload.event` of a system event, or else the event's type.

    A payload cannot claim a name that only the gateway gives, such as session.failed.
    """
    name = payload.get("event")
    if type != "system" or not isinstance(name, str) or len(name) > MAX_NAME_CHARS:
        return type
    return name if _NAME.fullmatch(name) and not name.startswith(_LIFE_PREFIX) else type


class Choice:
    """The messages that an endpoint wants: exact types, prefixes such as `tool.*`, or `*` for all.

    `system` stands for all system events, whatever their name.
    """

    def __init__(self, events: Sequence[str]) -> None:
        self._all = "*" in events
        self._exact = frozenset(events)
        self._prefixes = tuple(each[:-1] for each in events if each.endswith(".*"))

    @property
    def wants_events(self) -> bool:
        """Whether any messages are wanted beyond those about the beginnings and ends of sessions."""
        others = self._exact - LIFE
        return self._all or any(each != f"{_LIFE_PREFIX}*" for each in others)

    def takes(self, name: str) -> bool:
        """Return whether a message about a session's life is wanted."""
        return self._all or name in self._exact or (bool(self._prefixes) and name.startswith(self._prefixes))

    def takes_event(self, type: EventType, name: str) -> bool:
        """Return whether a message about an event of this type is wanted."""
        return type in self._exact or self.takes(name)


def check_events(events: Sequence[str]) -> list[str]:
    """Return the events without duplicates. Raises InvalidMessage."""
    if not 1 <= len(events) <= MAX_EVENTS:
        raise InvalidMessage(f"events must have 1 to {MAX_EVENTS} entries, has {len(events)}")
    for each in events:
        if len(each) > MAX_NAME_CHARS or not _PATTERN.fullmatch(each):
            raise InvalidMessage(
                f"events: {each[:MAX_NAME_CHARS]!r} is not the type of a message, such as session.completed, error, "
                "tool.* or *"
            )
        if each.startswith(_LIFE_PREFIX) and each not in LIFE and each != f"{_LIFE_PREFIX}*":
            raise InvalidMessage(f"events: there is no {each!r}; there are {', '.join(sorted(LIFE))}")
    return list(dict.fromkeys(events))

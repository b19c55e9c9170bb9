"""Conversations made of a few events, for tests of their figures. Times are milliseconds of the call."""

from __future__ import annotations

from typing import Any

from turnwire.protocol.conversation import Conversation
from turnwire.protocol.messages import EventType

BEGAN = 1_766_313_000_000
Said = tuple[EventType, dict[str, Any]]


def read(*events: Said, offsets: list[int] | None = None) -> Conversation:
    """The conversation made of these events. By default all have the same timestamp."""
    conversation = Conversation()
    for seq, (kind, payload) in enumerate(events, start=1):
        conversation.take(seq, kind, payload, BEGAN + (offsets[seq - 1] if offsets else 0))
    return conversation


def user(started: int, ended: int, **fields: Any) -> Said:
    return "user_speech", {"text": "user", "startedMs": started, "endedMs": ended, **fields}


def bot(started: int, ended: int, **fields: Any) -> Said:
    return "bot_speech", {"text": "bot", "startedMs": started, "endedMs": ended, **fields}


def system(event: str, **fields: Any) -> Said:
    return "system", {"event": event, **fields}


def responses(conversation: Conversation) -> list[tuple[int, int]]:
    return [(response.seq, response.ms) for response in conversation.figures().responses.each]

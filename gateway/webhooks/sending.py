"""What sends messages, as those who tell endpoints see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from turnwire.gateway.webhooks.messages import Message

_MAX_REASON_CHARS: Final = 200


class NotTaken(Exception):
    """An endpoint did not take a message. The text says why.

    `asked`: seconds after which it wants to be asked again. `gone`: it wants no more messages.
    """

    def __init__(self, reason: str, *, asked: float = 0.0, gone: bool = False) -> None:
        super().__init__(reason[:_MAX_REASON_CHARS])
        self.asked = asked
        self.gone = gone


class Sending(Protocol):
    """Sends messages."""

    async def send(self, url: str, message: Message, secrets: Sequence[str]) -> None:
        """Send a message, signed with each of these secrets. Return when it is taken. Raises NotTaken."""

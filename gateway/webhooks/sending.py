"""The sending of messages, as seen by the code that tells endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from turnwire.gateway.webhooks.messages import Message

_MAX_REASON_CHARS: Final = 200


class NotTaken(Exception):
    """An endpoint did not take a message. The text gives the reason.

    `asked`: seconds after which the endpoint wants the next attempt. `gone`: it wants no more messages.
    """

    def __init__(self, reason: str, *, asked: float = 0.0, gone: bool = False) -> None:
        super().__init__(reason[:_MAX_REASON_CHARS])
        self.asked = asked
        self.gone = gone


class Sending(Protocol):
    """Sends messages."""

    async def send(self, url: str, message: Message, secrets: Sequence[str]) -> None:
        """Send a message with one signature for each of these secrets. Return once the endpoint has taken it. Raises
        NotTaken."""

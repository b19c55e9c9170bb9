"""What a webhook of a vendor comes to."""

from __future__ import annotations

import msgspec

from turnwire.adapters.mapped import Hint, Mapped
from turnwire.protocol.messages import EventIn, FinalStatus, JsonObject


class Ended(msgspec.Struct, frozen=True):
    status: FinalStatus
    reason: str


class Webhook(msgspec.Struct, frozen=True):
    """The session it is about, what it says of it, and whether it ended. The same webhook always comes to the same."""

    session_id: str
    items: list[Mapped]
    language: str = "und"
    metadata: JsonObject = {}
    """For a session that is new."""
    ended: Ended | None = None

    @property
    def events(self) -> list[EventIn]:
        return [item for item in self.items if isinstance(item, EventIn)]

    @property
    def hints(self) -> list[Hint]:
        return [item for item in self.items if isinstance(item, Hint)]

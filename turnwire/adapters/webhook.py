"""What a webhook of a vendor comes to, and how that gets to a gateway."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from turnwire import errors
from turnwire.adapters.mapped import Hint, Mapped
from turnwire.client import Client
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
    late: JsonObject = {}
    """What is known only after the call, such as an analysis: for the session's metadata."""

    @property
    def events(self) -> list[EventIn]:
        return [item for item in self.items if isinstance(item, EventIn)]

    @property
    def hints(self) -> list[Hint]:
        return [item for item in self.items if isinstance(item, Hint)]


def analysis_in(items: Iterable[Mapped]) -> JsonObject:
    """The `call.analysis` among the items, as metadata."""
    for item in items:
        if isinstance(item, EventIn) and item.payload.get("event") == "call.analysis":
            return {"analysis": {name: value for name, value in item.payload.items() if name != "event"}}
    return {}


MAX_BATCH = 500


async def store(client: Client, told: Webhook) -> None:
    """Bring what a webhook says to its session, which is created if it is new and ended if the call has ended.

    Doing it again adds nothing. What comes when the session takes no more events, such as a late analysis, goes into
    its metadata. Raises what `Client` raises; the vendor then sends the webhook again.
    """
    await client.create(told.session_id, told.language, metadata=told.metadata)
    try:
        for first in range(0, len(told.events), MAX_BATCH):
            await client.append(told.session_id, told.events[first : first + MAX_BATCH])
    except errors.SessionEnded:
        if told.late:
            await client.patch(told.session_id, metadata=told.late)
    if told.ended is not None:
        await client.complete(told.session_id, told.ended.status, told.ended.reason)

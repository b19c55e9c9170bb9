"""The content of a vendor's webhook, and storing it in a gateway."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from turnwire import errors
from turnwire.adapters.mapped import Hint, Mapped
from turnwire.client import Client
from turnwire.protocol.messages import EventIn, FinalStatus, JsonObject


class Unknown(ValueError):
    """The body is not a webhook of this vendor about a call."""


class Ended(msgspec.Struct, frozen=True):
    """The end of a call."""

    status: FinalStatus
    reason: str


class Webhook(msgspec.Struct, frozen=True):
    """A webhook's session, its events and hints, and the end of the call. The same webhook always gives the same."""

    session_id: str
    items: list[Mapped]
    language: str = "und"
    metadata: JsonObject = {}
    """The metadata for a new session."""
    ended: Ended | None = None
    late: JsonObject = {}
    """Facts known only after the call, such as an analysis, for the session's metadata."""

    @classmethod
    def of(cls, session_id: str, items: list[Mapped], *, metadata: JsonObject, ended: Ended | None) -> Webhook:
        """Make a webhook, leaving out metadata that is None."""
        known = {name: value for name, value in metadata.items() if value is not None}
        return cls(session_id, items, metadata=known, ended=ended, late=_analysis_in(items))

    @property
    def events(self) -> list[EventIn]:
        return [item for item in self.items if isinstance(item, EventIn)]

    @property
    def hints(self) -> list[Hint]:
        return [item for item in self.items if isinstance(item, Hint)]


def _analysis_in(items: Iterable[Mapped]) -> JsonObject:
    """Return the `call.analysis` among the items, as metadata; empty if there is none."""
    for item in items:
        if isinstance(item, EventIn) and item.payload.get("event") == "call.analysis":
            return {"analysis": {name: value for name, value in item.payload.items() if name != "event"}}
    return {}


MAX_BATCH = 500


async def store(client: Client, told: Webhook) -> None:
    """Store a webhook's events in its session. Create a new session, and end it if the call has ended.

    Safe to repeat. If the session no longer accepts events, a late analysis goes into its metadata. Raises the errors
    of `Client`; the vendor then sends the webhook again.
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

"""Stores the items of a request, and ends the session when the stream is closed."""

from __future__ import annotations

from collections.abc import Sequence

from turnwire.gateway.access.enders import Enders
from turnwire.gateway.access.principals import Principal
from turnwire.gateway.live.items import Condition
from turnwire.gateway.sessions.requests import Requests
from turnwire.protocol.messages import Event, EventIn, Limits


class ItemStore:
    """Holds no state."""

    def __init__(self, limits: Limits, requests: Requests, enders: Enders) -> None:
        self._most = limits.batch_events
        self._requests = requests
        self._enders = enders

    async def append(
        self, session_id: str, events: Sequence[EventIn], size: int, condition: Condition | None = None
    ) -> list[Event]:
        """Store the events, which arrived as `size` bytes. Return them as stored.

        Events beyond the limit of one append are stored by several appends, so an error may come after some are stored.
        The condition is checked for each append. Raises what `Requests.append` raises.
        """
        stored: list[Event] = []
        for start in range(0, len(events), self._most):
            part = events[start : start + self._most]
            answers = await self._requests.append(session_id, part, size * len(part) // len(events), condition)
            stored += [answer.event for answer in answers]
        return stored

    async def end(self, session_id: str, principal: Principal, condition: Condition | None = None) -> None:
        """End the session as completed, unless it has already ended. Raises NoSuchSession, StorageUnavailable."""
        with self._enders.attributed(session_id, principal):
            await self._requests.complete(session_id, "completed", None, condition=condition)

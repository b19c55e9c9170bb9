"""The subscriptions of one connection that have more to send than there was room for."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol

from turnwire.gateway.connections.outbox import FrameOutbox
from turnwire.gateway.turns import SLICE_SECONDS, Turns
from turnwire.protocol.errors import CloseCode, StorageUnavailable
from turnwire.store.on_demand import OnDemandTask

_log = logging.getLogger("turnwire.subscriber")
_RETRY_SECONDS = 0.2
_SERVING: Final = SLICE_SECONDS / 2
"""Seconds that a window of one subscription takes, including writing its frames to the socket."""


class Laggard(Protocol):
    """A subscription that can lag."""

    @property
    def behind(self) -> bool: ...
    async def catch_up(self) -> None: ...


class Viewing(Protocol):
    """The connection."""

    closing: asyncio.Future[None] | None

    @property
    def outbox(self) -> FrameOutbox: ...
    def close(self, code: int, reason: str) -> None: ...


class Lagging:
    """Serves the subscriptions that lag, in turn, a window each, whenever there is room. Owned by its own task."""

    __slots__ = ("_connection", "_subscriptions", "_task", "_turns")

    def __init__(self, connection: Viewing, turns: Turns) -> None:
        self._connection = connection
        self._turns = turns
        self._subscriptions: dict[Laggard, None] = {}
        self._task = OnDemandTask()

    def add(self, subscription: Laggard) -> None:
        """Call `catch_up` of this subscription when there is room."""
        self._subscriptions[subscription] = None
        self._task.wake(self._catch_up)

    def drop(self, subscription: Laggard) -> None:
        self._subscriptions.pop(subscription, None)

    async def _catch_up(self) -> None:
        while self._subscriptions:
            for subscription in tuple(self._subscriptions):
                await self._connection.outbox.room()
                await self._turns.next(_SERVING)  # many connections can get room in the same pass of the loop
                if self._connection.closing is not None:
                    self._subscriptions.clear()
                    return
                if subscription in self._subscriptions and not await self._serve(subscription):
                    return

    async def _serve(self, subscription: Laggard) -> bool:
        """Return whether to continue."""
        try:
            await subscription.catch_up()
        except StorageUnavailable:
            await asyncio.sleep(_RETRY_SECONDS)
        except Exception:
            _log.exception("a subscription cannot be served")
            self._connection.close(CloseCode.INTERNAL, "the gateway failed; reconnect")
            return False
        if not subscription.behind:
            self._subscriptions.pop(subscription, None)
        return True

    def stop(self) -> None:
        """Serve nothing more."""
        self._task.cancel()
        self._subscriptions.clear()

"""What the steps of all sessions share."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from turnwire.gateway.live.observer import Observer
from turnwire.protocol.messages import Limits
from turnwire.store.mongo import Store


class Waiting(Struct):
    """Bytes of events that wait for the storage, in all sessions."""

    most: int
    size: int = 0

    @property
    def full(self) -> bool:
        return self.size >= self.most


class Context(Struct, frozen=True):
    """All that the steps need beside the session itself. Times are in seconds."""

    store: Store
    clock: Callable[[], float]
    """The loop's clock."""
    limits: Limits
    ping_interval: float
    end_grace: float
    abandon_after: float
    expire_after: float
    """A session without any event for so long ends, whether it has a publisher or not; 0: never."""
    shared_database: bool
    """Whether other gateways may use the database: then the store is asked before anything is answered or decided."""
    figures: bool
    """Whether the figures of sessions are kept."""
    waiting: Waiting
    observer: Observer

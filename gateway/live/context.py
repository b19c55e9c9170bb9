"""What the steps of all sessions share."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from turnwire.gateway.live.observer import Observer
from turnwire.protocol.messages import Limits
from turnwire.store.mongo import Store


class Context(Struct, frozen=True):
    """All that the steps need beside the session itself. Times are in seconds."""

    store: Store
    clock: Callable[[], float]
    """The loop's clock."""
    limits: Limits
    end_grace: float
    abandon_after: float
    shared_database: bool
    """Whether other gateways may use the database."""
    figures: bool
    """Whether the figures of sessions are kept."""
    observer: Observer

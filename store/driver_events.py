"""What the driver notices by itself, between operations."""

from __future__ import annotations

from typing import Any

from pymongo.monitoring import ServerHeartbeatListener

from turnwire.store.condition import DatabaseCondition


class TroubleListener(ServerHeartbeatListener):
    """Notes lost heartbeats: a server that went away while nobody asked for anything may have come back with less.

    Called in the driver's threads, of which there is one for each server.
    """

    def __init__(self, condition: DatabaseCondition) -> None:
        self._condition = condition

    def started(self, event: Any) -> None:
        pass

    def succeeded(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        self._condition.troubles += 1

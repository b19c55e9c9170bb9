"""Counts troubles that the driver notices by itself, outside the store's operations."""

from __future__ import annotations

from typing import Any

from pymongo.monitoring import ServerListener

from turnwire.store.condition import DatabaseCondition


class TroubleListener(ServerListener):
    """A listener that counts a trouble for each server that goes away.

    No operation may have noticed this, because none was running or because the driver retried by itself. A server that
    comes back may hold less than before. Called from the driver's threads, one for each server.
    """

    def __init__(self, condition: DatabaseCondition) -> None:
        self._condition = condition

    def opened(self, event: Any) -> None:
        pass

    def description_changed(self, event: Any) -> None:
        if event.new_description.server_type_name == "Unknown":
            self._condition.lost_connection()

    def closed(self, event: Any) -> None:
        pass

"""What the driver notices by itself, between operations and behind them."""

from __future__ import annotations

from typing import Any

from pymongo.monitoring import ServerListener

from turnwire.store.condition import DatabaseCondition


class TroubleListener(ServerListener):
    """Notes that a server has gone, also where nobody heard of it: while nothing was asked, or because the driver asked
    a second time by itself. What comes back may hold less than what went away.

    Called in the driver's threads, of which there is one for each server.
    """

    def __init__(self, condition: DatabaseCondition) -> None:
        self._condition = condition

    def opened(self, event: Any) -> None:
        pass

    def description_changed(self, event: Any) -> None:
        if event.new_description.server_type_name == "Unknown":
            self._condition.troubles += 1

    def closed(self, event: Any) -> None:
        pass

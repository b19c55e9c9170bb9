"""Leases: which of several gateways does a piece of work that one of them is to do."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pymongo.errors import WriteError

from turnwire.store.condition import DatabaseCondition

_DUPLICATE_KEY: Final = 11000
_LEASE: Final = "take a lease"


class Leases:
    """One document for each kind of work. Methods raise StorageUnavailable."""

    def __init__(self, database: Any, condition: DatabaseCondition) -> None:
        self._documents = database["turnwire"]
        self._condition = condition

    async def take(self, work: str, holder: str, now: datetime, until: datetime) -> bool:
        """Take or extend the lease until then. Return False while another holder has it.

        Clocks of gateways differ: two may have it for that long, so the work must be safe to do twice.
        """
        return await self._condition.ask(_LEASE, self._take(f"lease/{work}", holder, now, until))

    async def _take(self, key: str, holder: str, now: datetime, until: datetime) -> bool:
        lease = {"holder": holder, "until": until}
        for free in ({"holder": holder}, {"until": {"$lte": now}}):
            if (await self._documents.update_one({"_id": key, **free}, {"$set": lease})).matched_count:
                return True
        try:
            await self._documents.insert_one({"_id": key, **lease})
        except WriteError as error:
            if error.code != _DUPLICATE_KEY:
                raise
            return False
        return True

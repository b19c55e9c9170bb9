"""Leases, which decide which of several gateways does work that only one should do."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from pymongo.errors import WriteError

from turnwire.store.condition import DatabaseCondition

_DUPLICATE_KEY: Final = 11000
_LEASE: Final = "take a lease"


class WorkLease(Struct, frozen=True):
    """Who does a piece of work. No clocks are compared: a holder shows that it is alive by raising `beat`."""

    holder: str | None = None
    """None if no gateway holds it."""
    beat: int = 0
    done_at: datetime | None = None
    """When the work was last completed, or given up."""


class Leases:
    """One document for each kind of work. Methods raise StorageUnavailable."""

    def __init__(self, database: Any, condition: DatabaseCondition) -> None:
        self._documents = database["turnwire"]
        self._condition = condition

    async def read(self, work: str) -> WorkLease:
        """Return the current lease."""
        found = await self._condition.ask(_LEASE, self._documents.find_one({"_id": _key(work)}))
        return WorkLease() if found is None else WorkLease(found["holder"], found["beat"], found["doneAt"])

    async def take(self, work: str, seen: WorkLease, holder: str) -> WorkLease | None:
        """Take or renew the lease. Return None if it has changed since it was read."""
        return await self._change(work, seen, WorkLease(holder, seen.beat + 1, seen.done_at))

    async def give_back(self, work: str, held: WorkLease, now: datetime) -> None:
        """Release the lease. Do nothing if another gateway has taken it."""
        await self._change(work, held, WorkLease(None, held.beat + 1, now))

    async def _change(self, work: str, seen: WorkLease, new: WorkLease) -> WorkLease | None:
        changed = await self._condition.ask(_LEASE, self._replace(_key(work), seen, new))
        return new if changed else None

    async def _replace(self, key: str, seen: WorkLease, new: WorkLease) -> bool:
        fields = {"holder": new.holder, "beat": new.beat, "doneAt": new.done_at}
        known = {"_id": key, "holder": seen.holder, "beat": seen.beat}
        if (await self._documents.update_one(known, {"$set": fields})).matched_count:
            return True
        if seen.beat:
            return False
        try:
            await self._documents.insert_one({"_id": key, **fields})
        except WriteError as error:
            if error.code != _DUPLICATE_KEY:
                raise
            return False
        return True


def _key(work: str) -> str:
    return f"work/{work}"

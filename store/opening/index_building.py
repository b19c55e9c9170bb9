"""Makes the indexes of sessions, once. This takes long if many sessions are stored already."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

import pymongo
from pymongo import IndexModel

_KEY: Final = "indexes"
_LONGEST_SECONDS: Final = 86_400.0
"""How long the database may work on indexes. With the driver's usual seconds, a server would begin anew after each
timeout, and never finish."""
_log = logging.getLogger("turnwire.store")


class IndexBuilding:
    """Makes indexes. Methods raise the driver's errors, and may be repeated and run in several gateways.

    The embedded database lists an index before the index is complete. If it dies in between, it never completes the
    index, and queries by it miss sessions. So a note says which indexes are being made, and in which run of the server:
    those that another run has left are made again.
    """

    def __init__(self, database: Any) -> None:
        self._notes = database["turnwire"]
        self._sessions = database["sessions"]

    async def make(self, models: Sequence[IndexModel], run: Any | None) -> None:
        """Make the missing ones. `run` is the id of the server's run, if it lists indexes too early."""
        with pymongo.timeout(_LONGEST_SECONDS):
            if run is not None:
                await self._drop_incomplete(run)
            await self._make(models, run)

    async def _make(self, models: Sequence[IndexModel], run: Any | None) -> None:
        missing = [] if run is None else await self._missing(models)
        noted = bool(missing) and await self._sessions.find_one({}, {"_id": 1}) is not None
        if noted:
            _log.warning("the database makes indexes of sessions, and answers nothing until they are made")
            names = {"$each": missing}
            change = {"$set": {"run": run}, "$addToSet": {"names": names}}
            await self._notes.update_one({"_id": _KEY}, change, upsert=True)
        await self._sessions.create_indexes(list(models))
        if noted:
            await self._notes.delete_one({"_id": _KEY, "run": run})
            _log.warning("the indexes of sessions are made")

    async def _missing(self, models: Sequence[IndexModel]) -> list[str]:
        known = await self._sessions.index_information()
        return [name for name in map(_name, models) if name not in known]

    async def _drop_incomplete(self, run: Any) -> None:
        note = await self._notes.find_one({"_id": _KEY})
        if note is None or note["run"] == run:
            return
        known = await self._sessions.index_information()
        for name in known.keys() & set(note["names"]):
            await self._sessions.drop_index(name)
        await self._notes.delete_one({"_id": _KEY, "run": note["run"]})


def _name(model: IndexModel) -> str:
    return str(model.document["name"])

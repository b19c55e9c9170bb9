"""Ordered inserts as the plain command, without the driver's bookkeeping for each document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo.errors import WriteConcernError

_WRITE_CONCERN = {"w": "majority", "j": True}

Document = dict[str, Any]


class OrderedInsert:
    """Inserts into one collection, each durable on a majority when it is answered without a write error.

    Costs the client three quarters of `insert_many` (bench/loads/insert.py has that one). What it lacks is the driver's
    retry: after an unknown outcome its caller must look at what is stored.
    """

    __slots__ = ("_collection", "_database")

    def __init__(self, database: Any, collection: str) -> None:
        self._database = database
        self._collection = collection

    async def __call__(self, documents: Sequence[Document]) -> tuple[int, Document | None]:
        """Insert up to the first document that fails.

        Returns how many are stored, from the first, and the write error (`code`, `errmsg`, …) of the next. Without one
        all are durable. With one, those before it are only *said* to be stored: routers of some versions then leave
        out that the write concern failed.

        Raises PyMongoError when it is not known what is stored, or stored for good; and, before anything is sent,
        BSONError, DocumentTooLarge, OverflowError, TypeError or ValueError for what BSON cannot
        hold, or is over 16 MB together.
        """
        reply = await self._database.command(
            {"insert": self._collection, "documents": documents, "ordered": True, "writeConcern": _WRITE_CONCERN}
        )
        concern = reply.get("writeConcernError")
        if concern is not None:  # stored, but not known to be durable
            raise WriteConcernError(str(concern.get("errmsg")), concern.get("code"), concern)
        errors = reply.get("writeErrors")
        if not errors:
            return len(documents), None
        return int(errors[0]["index"]), errors[0]

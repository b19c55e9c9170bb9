"""Ordered inserts as the plain command, without the driver's bookkeeping for each document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pymongo.errors import WriteConcernError

_WRITE_CONCERN = {"w": "majority", "j": True}

Document = dict[str, Any]


class OrderedInsert:
    """The insert command for one collection: durable on a majority if answered without a write error.

    Takes three quarters of the client's time for `insert_many` (bench/loads/insert.py measures that). The driver does
    not retry it: after an unknown outcome, the caller must read what is stored.
    """

    __slots__ = ("_collection", "_command")

    def __init__(self, command: Callable[[Document], Awaitable[Document]], collection: str) -> None:
        """`command` runs a command on the collection's database and returns the reply. Raises as the driver does."""
        self._command = command
        self._collection = collection

    async def __call__(self, documents: Sequence[Document]) -> tuple[int, Document | None]:
        """Insert documents up to the first that fails.

        Return how many are stored, counted from the first, and the write error (`code`, `errmsg`, …) of the next.
        Without an error all are durable. With one, those before it are only *said* to be stored: some router versions
        then do not report that the write concern failed.

        Raises PyMongoError if it is unknown what is stored durably. Raises BSONError, DocumentTooLarge, OverflowError,
        TypeError or ValueError, before anything is sent, for documents that BSON cannot hold or that exceed 16 MB
        together.
        """
        reply = await self._command(
            {"insert": self._collection, "documents": documents, "ordered": True, "writeConcern": _WRITE_CONCERN}
        )
        concern = reply.get("writeConcernError")
        if concern is not None:  # stored, but not known to be durable
            raise WriteConcernError(str(concern.get("errmsg")), concern.get("code"), concern)
        errors = reply.get("writeErrors")
        if not errors:
            return len(documents), None
        return int(errors[0]["index"]), errors[0]

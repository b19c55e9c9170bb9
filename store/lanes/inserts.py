"""Ordered inserts as the plain command, without the driver's bookkeeping for each document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from pymongo.errors import ProtocolError, WriteConcernError

_WRITE_CONCERN = {"w": "majority", "j": True}

Document = dict[str, Any]
Answer = Callable[[Document | None, BaseException | None], None]
"""Called once with the reply to a command, or with an error: a PyMongoError, or CancelledError after a stop."""


class Command(Protocol):
    """Runs commands on a database, without a wait or a thread where that is possible."""

    def __call__(self, command: Document) -> Awaitable[Document]:
        """Return the reply. Raises as the driver does."""

    def at_once(self, command: Document, answer: Answer) -> bool:
        """Send the command now, if that is possible. Return whether it was sent: `answer` is called later then.

        Raises what the encoder raises.
        """


class OrderedInsert:
    """The insert command for one collection: durable on a majority if answered without a write error.

    Takes three quarters of the client's time for `insert_many` (bench/loads/insert.py measures that). The driver does
    not retry it: after an unknown outcome, the caller must read what is stored.
    """

    __slots__ = ("_at_once", "_collection", "_command")

    def __init__(
        self,
        command: Callable[[Document], Awaitable[Document]],
        collection: str,
        at_once: Callable[[Document, Answer], bool] | None = None,
    ) -> None:
        """`command` runs a command on the collection's database and returns the reply. Raises as the driver does.
        `at_once`: see `Command`. None if there is no such way."""
        self._command = command
        self._collection = collection
        self._at_once = at_once

    async def __call__(self, documents: Sequence[Document]) -> tuple[int, Document | None]:
        """Insert documents up to the first that fails.

        Return how many are stored, counted from the first, and the write error (`code`, `errmsg`, …) of the next.
        Without an error all are durable. With one, those before it are only *said* to be stored: some router versions
        then do not report that the write concern failed.

        Raises PyMongoError if it is unknown what is stored durably. Raises BSONError, DocumentTooLarge, OverflowError,
        TypeError or ValueError, before anything is sent, for documents that BSON cannot hold or that exceed 16 MB
        together.
        """
        return said_by(await self._command(self._insert(documents)), len(documents))

    def at_once(self, documents: Sequence[Document], answer: Answer) -> bool:
        """Send the insert now, if that is possible without a wait or a thread. Return whether it was sent.

        `answer` is called later; `said_by` reads the reply. Raises, before anything is sent, as a call does.
        """
        return self._at_once is not None and self._at_once(self._insert(documents), answer)

    def _insert(self, documents: Sequence[Document]) -> Document:
        return {"insert": self._collection, "documents": documents, "ordered": True, "writeConcern": _WRITE_CONCERN}


def said_by(reply: Document, count: int) -> tuple[int, Document | None]:
    """Return what an `OrderedInsert` of so many documents returns. Raises WriteConcernError or ProtocolError if it is
    unknown what is stored durably."""
    concern, errors = reply.get("writeConcernError"), reply.get("writeErrors")
    if concern is None and not errors and reply.get("n") == count:
        return count, None
    try:
        if concern is not None:  # stored, but not known to be durable
            raise WriteConcernError(str(concern.get("errmsg")), concern.get("code"), concern)
        if not errors:
            raise ValueError(f"it counts {reply.get('n')!r} of {count} documents and names no error")
        said = int(errors[0]["index"])
        if not 0 <= said < count:
            raise ValueError(f"it names an error of document {said} of {count}")
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ProtocolError(f"Got a reply to an insert that cannot be read: {error!r}") from error
    return said, errors[0]

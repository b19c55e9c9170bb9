"""What is asked of the log: consecutive events of one session, and how far they got."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec import Struct

from turnwire.store.event_documents import Document, Mark, position_key

_OVERHEAD = 256
"""Rough bytes of a stored event beside its payload, for the weight of a commit."""


class RefusedDocument(Exception):
    """The database will never store this document, whatever the state of anything else."""

    def __init__(self, index: int, reason: str, *, stored: int = 0) -> None:
        super().__init__(f"document {index} was refused: {reason}")
        self.index = index
        self.reason = reason
        self.stored = stored
        """How many of the documents before it, from the first, are known to be durable."""


class Appended(Struct, frozen=True):
    """How many documents of an append, from the first, are durable, and whether the next one may be too, unheard of."""

    stored: int
    unsure: bool
    as_of: int
    """The storage's troubles as of which the head of the log is known; to be given with the next append."""


class Append:
    """Consecutive events of one session, to be stored in order."""

    __slots__ = ("_head", "as_of", "aside", "documents", "done", "stored", "taken_before", "tries", "unsure", "weight")

    def __init__(self, documents: Sequence[Document], payload_bytes: int, as_of: int, head: Mark | None = None) -> None:
        """`head` is the event before the documents, as far as it is known."""
        self.documents = documents
        self._head = head
        self.weight = payload_bytes + _OVERHEAD * len(documents)
        self.stored = 0
        """How many of the documents, from the first, are known to be durable."""
        self.unsure = False
        self.as_of = as_of
        """The troubles as of which the event before the next document is known to be in the log."""
        self.aside = False
        """Whether it is out of the lane, to be tried again in a while."""
        self.tries = 0
        """How often it was set aside."""
        self.taken_before = 0
        """How many inserts of others had been taken when it was first set aside."""
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def pending(self) -> bool:
        return not self.aside and not self.done.done()

    @property
    def next(self) -> Document:
        """The first document that is not known to be durable."""
        return self.documents[self.stored]

    @property
    def head(self) -> Mark | None:
        """The event before the next document, as far as it is known."""
        if not self.stored:
            return self._head
        last = self.documents[self.stored - 1]
        return Mark(last["seq"], last["timestamp"], last["eventId"])

    def advance(self, stored: int) -> None:
        self.stored = stored
        if stored == len(self.documents):
            self.finish()

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(self.stored)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


def position_before(document: Document) -> Document:
    """Where the event before this one stands."""
    session_id, seq = document["sessionId"], document["seq"] - 1
    return {"_id": position_key(session_id, seq), "sessionId": session_id}


def share_out(appends: Sequence[Append], count: int) -> list[tuple[Append, int]]:
    """The appends that an insert came to, each with how many of its documents are stored if so many of all were."""
    shares = []
    for append in appends:
        taken = min(count, len(append.documents) - append.stored)
        shares.append((append, append.stored + taken))
        count -= taken
        if shares[-1][1] < len(append.documents):
            break
    return shares

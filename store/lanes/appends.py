"""Appends to the log: consecutive events of one session, and how many of them are stored."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import bson
from msgspec import Struct

from turnwire.store.event_documents import Document, Mark, position_key
from turnwire.store.lanes.answers import Answers
from turnwire.store.lanes.lines import Shares

_OVERHEAD = 256
"""Approximate bytes of a stored event besides its payload, for the weight of a commit."""
_COST = 1536
"""The cost of storing an event, in bytes of payload that cost the embedded database as much: some 50 µs."""

_KIB = 1024
SHARES = Shares(
    tiny=8 * _KIB, short=256 * _KIB, short_batch=4096 * _KIB, long_batch=2048 * _KIB, careful_batch=512 * _KIB
)
SHARES_OF_ONE = Shares(
    tiny=8 * _KIB, short=112 * _KIB, short_batch=1024 * _KIB, long_batch=256 * _KIB, careful_batch=128 * _KIB
)
"""The shares of a single lane. Short appends have at most 64 events of a call. Some 600 events of a batch take the
embedded database some 25 ms, some 150 of a batch of long appends 8 ms, and some 80 of a careful one 5 ms."""


class RefusedDocument(Exception):
    """The database will always refuse this document."""

    def __init__(self, index: int, reason: str, *, stored: int = 0) -> None:
        super().__init__(f"document {index} was refused: {reason}")
        self.index = index
        self.reason = reason
        self.stored = stored
        """How many of the documents before it are known to be durable, counted from the first."""


class Appended(Struct, frozen=True):
    """The outcome of an append."""

    stored: int
    """How many documents are durable, counted from the first."""
    unsure: bool
    """Whether the next document may be durable too."""
    as_of: int
    """The count of the storage's troubles as of which the head of the log is known, for the next append."""


class PendingAppend:
    """Consecutive events of one session, to be stored in order."""

    __slots__ = (  # several a line: a line for each would hide the class
        "_head", "_payload", "answers", "as_of", "aside", "cost", "documents", "done", "end", "is_over", "stored",
        "taken_before", "tries", "unsure", "weight",
    )  # fmt: skip

    def __init__(self, documents: Sequence[Document], payload_bytes: int, as_of: int, head: Mark | None = None) -> None:
        """`head` is the event before the documents, as far as it is known."""
        self.documents = documents
        self._head = head
        self._payload = payload_bytes
        self.end = count = len(documents)
        """How many of the documents are to be stored by the next batch, counted from the first."""
        self.weight = payload_bytes + _OVERHEAD * count
        self.cost = payload_bytes + _COST * count
        self.stored = 0
        """How many of the documents are known to be durable, counted from the first."""
        self.unsure = False
        self.as_of = as_of
        """The count of troubles when the event before the next document was last known to be in the log."""
        self.aside = False
        """Whether the append is out of the lane, to be retried later."""
        self.tries = 0
        """The number of times it has been set aside."""
        self.taken_before = 0
        """The lane's count of successful inserts when this append was first set aside."""
        self.is_over = False
        """Whether the outcome is known, although `done` may be resolved later."""
        self.answers: Answers | None = None
        """Resolves `done` when the append is stored; None: at once."""
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def pending(self) -> bool:
        """Whether documents of it are still to be stored by the present batch."""
        return self.stored < self.end and not (self.aside or self.is_over or self.done.done())

    @property
    def is_left(self) -> bool:
        """Whether the present batch is done with it, but not all of it is stored."""
        return not (self.aside or self.is_over or self.done.done())

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

    def take_part(self, most: int) -> None:
        parts = -(-self.cost // most)
        self.end = self.stored + max(1, (len(self.documents) - self.stored) // parts)

    def take_rest(self) -> None:
        """Have the next batch store all that is left, unless it takes another part. Weigh only that from now on."""
        count = len(self.documents)
        left = count - self.stored
        payload = self._payload * left // count
        self.weight, self.cost, self.end = payload + _OVERHEAD * left, payload + _COST * left, count

    def advance(self, stored: int) -> None:
        self.stored = stored
        if stored == len(self.documents):
            self.finish()

    def finish(self) -> None:
        if self.is_over or self.done.done():
            return
        self.is_over = True
        if self.answers is None:
            self.done.set_result(self.stored)
        else:
            self.answers.give(self.done, self.stored)

    def fail(self, error: Exception) -> None:
        if not (self.is_over or self.done.done()):
            self.is_over = True
            self.done.set_exception(error)


def position_before(document: Document) -> Document:
    """Return the position (`_id`, `sessionId`) before that of a document."""
    session_id, seq = document["sessionId"], document["seq"] - 1
    return {"_id": position_key(session_id, seq), "sessionId": session_id}


def share_out(appends: Sequence[PendingAppend], count: int) -> list[tuple[PendingAppend, int]]:
    """Distribute `count` stored documents over appends in order.

    Return each append that was reached, with how many of its documents are stored.
    """
    shares = []
    for append in appends:
        taken = min(count, append.end - append.stored)
        shares.append((append, append.stored + taken))
        count -= taken
        if shares[-1][1] < append.end:
            break
    return shares


def halve(first: PendingAppend, at_most: int, reason: str) -> int:
    """Return half of `at_most`. With only one document, fail its append and return 0."""
    if at_most > 1:
        return at_most // 2
    first.fail(RefusedDocument(first.stored, reason, stored=first.stored))
    return 0


def fail_unencodable(appends: list[PendingAppend], cause: Exception) -> None:
    """Fail the appends that BSON cannot encode. An earlier check should have refused them."""
    for append in appends:
        for index, document in enumerate(append.documents[append.stored :], start=append.stored):
            try:
                bson.encode(document)
            except Exception as error:
                append.fail(RefusedDocument(index, str(error), stored=append.stored))
                break
    if all(append.pending for append in appends):  # no document is at fault: do not retry forever
        for append in appends:
            append.fail(cause)

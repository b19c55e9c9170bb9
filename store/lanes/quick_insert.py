"""Inserts that need no task, because all is well and a connection is free. Most are so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

from bson.errors import BSONError
from msgspec import Struct
from pymongo.errors import DocumentTooLarge, PyMongoError

from turnwire.store.condition import DatabaseCondition
from turnwire.store.event_documents import Document
from turnwire.store.lanes.appends import PendingAppend
from turnwire.store.lanes.inserts import Answer, said_by


class Insert(Protocol):
    """An ordered insert: see `OrderedInsert`."""

    async def __call__(self, documents: Sequence[Document]) -> tuple[int, Document | None]: ...
    def at_once(self, documents: Sequence[Document], answer: Answer) -> bool: ...


class Outcome(Struct):
    """What has become of an insert."""

    seconds: float
    said: int = 0
    """How many documents are stored, counted from the first, unless `error` says otherwise."""
    fault: Document | None = None
    """The write error of the next document."""
    error: BaseException | None = None
    """Why nothing is known; CancelledError after a stop."""


class QuickInsert:
    """Inserts batches of one lane, one at a time, as long as nothing is known that speaks against it."""

    __slots__ = ("_began", "_clock", "_condition", "_count", "_insert", "_on_commit", "_outcome", "_see_to", "_took")

    def __init__(
        self,
        insert: Insert,
        condition: DatabaseCondition,
        on_commit: Callable[[int, float], None],
        *,
        took: Callable[[Sequence[PendingAppend]], None],
        see_to: Callable[[Sequence[PendingAppend], Outcome], Awaitable[None]],
    ) -> None:
        """`took` is called with a batch that is stored as a whole; `see_to` finishes a batch with another outcome."""
        self._insert = insert
        self._condition = condition
        self._on_commit = on_commit
        self._took = took
        self._see_to = see_to
        self._clock = asyncio.get_running_loop().time
        self._began = 0.0
        self._count = 0
        self._outcome: Outcome | None = None

    def begin(self, batch: Sequence[PendingAppend], ended: Callable[[], None]) -> bool:
        """See `QuickCommit`. Nothing is awaited between the look at the log's condition and the insert."""
        troubles = self._condition.troubles
        documents: list[Document] = []
        for append in batch:
            if append.as_of != troubles:  # the log must be verified first
                return False
            documents += append.documents[append.stored : append.end]
        try:
            sent = self._insert.at_once(documents, partial(self._answered, ended))
        except (BSONError, DocumentTooLarge, OverflowError, TypeError, ValueError):
            return False  # a task finds out which document is at fault
        self._began, self._count = self._clock(), len(documents)
        return sent

    def _answered(self, ended: Callable[[], None], reply: Document | None, error: BaseException | None) -> None:
        outcome = self._outcome = Outcome(self._clock() - self._began, error=error)
        if reply is not None:
            try:
                outcome.said, outcome.fault = said_by(reply, self._count)
            except PyMongoError as unsure:
                outcome.error = unsure
        ended()

    def finish(self, batch: Sequence[PendingAppend]) -> Callable[[], Awaitable[None]] | None:
        """See `QuickCommit`."""
        outcome, self._outcome = self._outcome, None
        assert outcome is not None, "the insert has been answered"
        if isinstance(outcome.error, asyncio.CancelledError):
            for append in batch:
                append.done.cancel()
            return None
        if outcome.error is not None or outcome.fault is not None:
            return partial(self._see_to, batch, outcome)
        self._on_commit(outcome.said, outcome.seconds)
        self._took(batch)
        return None

"""A model of the database, with the faults of a replica set: its documents, and which of them match a condition.

A write is on the primary at once and on a majority a little later; it is lost if the primary fails before that. Reads
see the majority, unique keys the primary.
"""

from __future__ import annotations

import asyncio
import operator
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Any

from turnwire.protocol.times import cut_to_millis

Document = dict[str, Any]
Copy = dict[str, dict[str, Document]]


class MemoryDatabase:
    """The server. Owner of all documents. A document never changes: an update puts a new one in its place."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.majority: dict[str, dict[str, Document]] = defaultdict(dict)
        self.primary: dict[str, dict[str, Document]] = defaultdict(dict)
        self.term = 0
        self.restored = 0
        """How often an older copy has been restored."""
        self.away = False
        """Whether the database is unreachable."""
        self.router_forgets = False
        """Whether an answer with a write error leaves out a failed write concern, as old routers do."""
        self.forges = 0.0
        """The share of inserts of events that are answered as if the position were taken, though it is not."""
        self.refuses: Callable[[Document], bool] = lambda document: False
        """Returns whether a validator forbids this document."""
        self.watch: Callable[[Document | None, Document], None] = lambda before, after: None
        """Called for each write on the primary with the document before and after it."""
        self.removed: Callable[[str, Document], None] = lambda collection, document: None
        """Called for each document that is removed on the primary, with its collection."""
        self._writes: list[tuple[str, str, Document | None]] = []

    def put(self, collection: str, document: Document) -> None:
        """Write on the primary. Times are kept in milliseconds, as BSON does."""
        document = {name: _as_kept(value) for name, value in document.items()}
        self.watch(self.primary[collection].get(document["_id"]), document)
        self.primary[collection][document["_id"]] = document
        self._writes.append((collection, document["_id"], document))

    def remove(self, collection: str, key: str) -> None:
        """Remove on the primary."""
        document = self.primary[collection].pop(key, None)
        if document is not None:
            self.removed(collection, document)
            self._writes.append((collection, key, None))

    def fail_over(self) -> None:
        """Lose the primary, and with it what is not on a majority. Operations under way fail."""
        self.term += 1
        self._writes.clear()
        self.primary = defaultdict(dict, {name: dict(documents) for name, documents in self.majority.items()})

    def copy(self) -> Copy:
        """Return what a backup would hold now."""
        return {name: dict(documents) for name, documents in self.majority.items()}

    def put_back(self, copy: Copy) -> None:
        """Restore an older copy. All connections break, with the operations under way on them."""
        self.majority = defaultdict(dict, {name: dict(documents) for name, documents in copy.items()})
        self.restored += 1
        self.fail_over()

    def forget(self, collection: str, lost: Callable[[Document], bool]) -> None:
        """Lose some documents of one collection, as if another collection had been restored from an older copy."""
        for documents in (self.majority[collection], self.primary[collection]):
            for key in [key for key, document in documents.items() if lost(document)]:
                del documents[key]

    async def replicate(self) -> bool:
        """Wait until what has been written is on a majority. Return False if it was lost instead."""
        term, count = self.term, len(self._writes)
        if not count:
            return True
        target = self._writes[count - 1]
        await asyncio.sleep(self.random.uniform(0, 0.02))
        if term != self.term:
            return False
        while any(write is target for write in self._writes):
            collection, key, document = self._writes.pop(0)
            if document is None:
                self.majority[collection].pop(key, None)
            else:
                self.majority[collection][key] = document
        return True


def _as_kept(value: Any) -> Any:
    return cut_to_millis(value) if isinstance(value, datetime) else value


def matching(documents: dict[str, Document], condition: Document) -> list[Document]:
    """Return the documents that match the condition; by key if it names keys, because scanning is slow."""
    wanted = condition.get("_id")
    keys = wanted["$in"] if isinstance(wanted, dict) else documents if wanted is None else [wanted]
    found = (documents[key] for key in keys if key in documents)
    return [document for document in found if _matches(document, condition)]


def _matches(document: Document, condition: Document) -> bool:
    return all(_holds(document.get(field), wanted) for field, wanted in condition.items())


def changed_by(document: Document, change: Document) -> Document:
    """Return the document after `$set` and `$max`."""
    raised = {field: max(document.get(field, value), value) for field, value in change.get("$max", {}).items()}
    return {**document, **change.get("$set", {}), **raised}


def _of_a_kind(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Missing values are neither greater nor less than anything."""
    return lambda value, operand: value is not None and compare(value, operand)


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$in": lambda value, operand: value in operand,
    "$lt": _of_a_kind(operator.lt),
    "$lte": _of_a_kind(operator.le),
    "$gt": _of_a_kind(operator.gt),
    "$gte": _of_a_kind(operator.ge),
}


def _holds(value: Any, wanted: Any) -> bool:
    if not isinstance(wanted, dict):
        return bool(value == wanted)
    return all(_OPERATORS[name](value, operand) for name, operand in wanted.items())

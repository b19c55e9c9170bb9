"""One gateway's line to the model of the database, at the level of Motor's collections.

Every operation takes a while. It may be lost on its way, lose its answer, or be carried out after the client was told
that it failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from typing import Any, Self, cast

from pymongo import UpdateOne
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    NetworkTimeout,
    NotPrimaryError,
    PyMongoError,
    WriteConcernError,
    WriteError,
)

from tests.support.faults.database import Document, MemoryDatabase, changed_by, matching

Steps = Generator[None, None, Any]
DUPLICATE_KEY = 11000
INVALID = 121
_REFUSED = {"code": INVALID, "errmsg": "Document failed validation"}
_FAULTS = ("refused", "answer lost", "late", "cut short", "no majority")
_LATEST_SECONDS = 3.0
_FORGOTTEN_SHARE = 0.3
"""Of the writes with an error, behind a router that forgets: those that are not kept on a majority either."""
_SLOW_SHARE, _SLOW_SECONDS = 0.05, 0.5


class Line:
    """One gateway's connection to the database. `trouble` is the probability that an operation suffers a fault."""

    def __init__(self, database: MemoryDatabase, trouble: float) -> None:
        self.database = database
        self.trouble = trouble
        self.cut = False
        """Whether the gateway is dead: what it had not sent never arrives."""
        self.stamp: Callable[[Document], None] = lambda document: None
        """Called for each document that is sent for insertion; may add fields for the test."""
        self._random = database.random
        self._served: set[asyncio.Task[Any]] = set()

    def get_database(self, name: str, **options: object) -> Self:
        return self

    def __getitem__(self, name: str) -> Collection:
        return Collection(self, name)

    @property
    def admin(self) -> Self:
        return self

    async def command(self, command: Document | str) -> Document:
        """Carry out the commands that the stores send directly."""
        if isinstance(command, str):
            return {"ok": 1, "version": "8.0.0"}
        documents = command["documents"]
        forges = self.database.forges and self._random.random() < self.database.forges
        forged = self._random.randrange(len(documents)) if forges else None
        if forged is not None and self._random.random() < 0.5:
            documents = []  # nor are those before it stored, of which it is said
        try:
            if documents:
                await self[command["insert"]].insert_many(documents[:forged], ordered=command["ordered"])
        except BulkWriteError as error:
            errors, concerns = error.details["writeErrors"], error.details["writeConcernErrors"]
            if errors and self.database.router_forgets:
                concerns = []
            return {"ok": 1, "writeErrors": errors, "writeConcernError": next(iter(concerns), None)}
        if forged is not None:
            return {"ok": 1, "writeErrors": [{"index": forged, "code": DUPLICATE_KEY, "errmsg": "duplicate key"}]}
        return {"ok": 1}

    def close(self) -> None:
        self.cut = True

    def _is_dead(self) -> bool:
        return self.cut

    async def pause(self, longest: float = 0.02) -> None:
        if self._random.random() < _SLOW_SHARE:
            longest = max(longest, _SLOW_SECONDS)
        await asyncio.sleep(self._random.uniform(0, longest))

    async def read(self, look: Callable[[], Any]) -> Any:
        term = self.database.term
        fault = self._fault()
        await self.pause()
        if self._is_dead() or fault is not None or term != self.database.term:
            raise AutoReconnect("the read was lost")
        result = look()
        await self.pause()
        if self._is_dead():
            raise AutoReconnect("the answer was lost")
        return result

    async def write(self, steps: Callable[[], Steps], *, bulk: bool) -> Any:
        """Carry out a write. The steps are those between which others may come."""
        fault, restored = self._fault(), self.database.restored
        await self.pause()
        if self._is_dead() or fault == "refused" or restored != self.database.restored:
            raise AutoReconnect("the write was lost on its way")
        serving = asyncio.get_running_loop().create_task(self._serve(steps(), fault, bulk=bulk))
        self._served.add(serving)
        serving.add_done_callback(self._finished)
        if fault == "late":
            await self.pause()
            raise NetworkTimeout("no answer; it will be carried out yet")
        result = await asyncio.shield(serving)
        if fault in ("answer lost", "cut short") or self._is_dead():
            raise AutoReconnect("the answer was lost")
        return result

    def _finished(self, serving: asyncio.Task[Any]) -> None:
        self._served.discard(serving)
        if not serving.cancelled():
            serving.exception()

    def _fault(self) -> str | None:
        if self.database.away:
            return "refused"
        return self._random.choice(_FAULTS) if self._random.random() < self.trouble else None

    async def _serve(self, steps: Steps, fault: str | None, *, bulk: bool) -> Any:
        restored = self.database.restored
        if fault == "late":
            await self.pause(_LATEST_SECONDS)
        if restored != self.database.restored:
            raise AutoReconnect("the write was lost on its way")
        term = self.database.term
        failure: PyMongoError | None = None
        result = None
        while True:
            if term != self.database.term:
                raise NotPrimaryError("not primary any more")
            try:
                next(steps)
            except StopIteration as end:
                result = end.value
                break
            except (BulkWriteError, WriteError) as error:
                failure = error
                break
            if fault == "cut short" and self._random.random() < 0.5:
                break
            if self._random.random() < 0.3:
                await self.pause()
        if failure is not None and self.database.router_forgets and self._random.random() < _FORGOTTEN_SHARE:
            fault = "no majority"
        if fault == "no majority":
            if self._random.random() < 0.5:  # as when the primary has lost touch with the others
                self.database.fail_over()
            raise _without_majority(failure, bulk=bulk)
        if not await self.database.replicate():
            raise NotPrimaryError("not primary any more")
        if failure is not None:
            raise failure
        return result


def _without_majority(failure: PyMongoError | None, *, bulk: bool) -> PyMongoError:
    trouble = {"code": 64, "errmsg": "waiting for replication timed out"}
    if isinstance(failure, BulkWriteError):
        return BulkWriteError({**failure.details, "writeConcernErrors": [trouble]})
    if bulk:
        return BulkWriteError({"writeErrors": [], "writeConcernErrors": [trouble], "nInserted": 0})
    return WriteConcernError("waiting for replication timed out", 64, trouble)


class Collection:
    """The part of a Motor collection that the stores use."""

    def __init__(self, line: Line, name: str, linearizable: bool = False) -> None:
        self._line = line
        self._name = name
        self._linearizable = linearizable

    @property
    def _primary(self) -> dict[str, Document]:
        return self._line.database.primary[self._name]

    async def insert_many(self, documents: Sequence[Document], ordered: bool = True) -> None:
        copies = [dict(document) for document in documents]
        for document in copies:
            self._line.stamp(document)

        def steps() -> Steps:
            errors = []
            for index, document in enumerate(copies):
                error = self._error_of(document)
                if error is None:
                    self._put(document)
                else:
                    errors.append({"index": index, **error})
                    if ordered:
                        break
                yield
            if errors:
                raise BulkWriteError({"writeErrors": errors, "writeConcernErrors": [], "nInserted": 0})

        await self._line.write(steps, bulk=True)

    async def insert_one(self, document: Document) -> None:
        def steps() -> Steps:
            error = self._error_of(document)
            if error is not None:
                raise WriteError(error["errmsg"], error["code"])
            self._put(document)
            yield

        await self._line.write(steps, bulk=False)

    def _error_of(self, document: Document) -> Document | None:
        """Return why the document must not be inserted, or None."""
        if document["_id"] in self._primary:
            return {"code": DUPLICATE_KEY, "errmsg": "duplicate key"}
        if self._line.database.refuses(document):
            return _REFUSED
        return None

    def _put(self, document: Document) -> None:
        self._line.database.put(self._name, document)

    async def update_one(self, condition: Document, change: Document) -> Matched:
        return await self._update([UpdateOne(condition, change)], bulk=False)

    async def bulk_write(self, updates: Sequence[UpdateOne], ordered: bool = True) -> Matched:
        return await self._update(updates, bulk=True)

    async def _update(self, updates: Sequence[UpdateOne], *, bulk: bool) -> Matched:
        def steps() -> Steps:
            matched, errors = 0, []
            for index, update in enumerate(updates):
                condition: Document = dict(update._filter)
                change = cast(Document, update._doc)
                for document in matching(self._primary, condition)[:1]:
                    changed = changed_by(document, change)
                    if self._line.database.refuses(changed):
                        errors.append({"index": index, **_REFUSED})
                    else:
                        self._put(changed)
                        matched += 1
                yield
            if errors and not bulk:
                raise WriteError("Document failed validation", INVALID)
            if errors:
                raise BulkWriteError({"writeErrors": errors, "writeConcernErrors": [], "nMatched": matched})
            return Matched(matched)

        result: Matched = await self._line.write(steps, bulk=bulk)
        return result

    async def replace_one(self, condition: Document, document: Document) -> Matched:
        def steps() -> Steps:
            found = matching(self._primary, condition)[:1]
            for _ in found:
                self._put(dict(document))
            yield
            return Matched(len(found))

        result: Matched = await self._line.write(steps, bulk=False)
        return result

    async def delete_many(self, condition: Document) -> Deleted:
        def steps() -> Steps:
            found = matching(self._primary, condition)
            for document in found:
                self._line.database.remove(self._name, document["_id"])
                yield
            return Deleted(len(found))

        result: Deleted = await self._line.write(steps, bulk=False)
        return result

    async def create_index(self, keys: object, **options: object) -> None:
        """Do nothing: reads need no index here."""

    def with_options(self, **options: object) -> Collection:
        """Return a collection whose reads wait until all writes are on a majority, as linearizable reads do."""
        return Collection(self._line, self._name, linearizable=True)

    async def find_one(self, condition: Document, projection: object = None) -> Document | None:
        if self._linearizable and not await self._line.database.replicate():
            raise NotPrimaryError("not primary any more")
        found = await self.find(condition).to_list(length=None)
        return found[0] if found else None

    def find(self, condition: Document, projection: object = None) -> Cursor:
        return Cursor(self._line, self._name, condition)


class Matched:
    def __init__(self, count: int) -> None:
        self.matched_count = count


class Deleted:
    def __init__(self, count: int) -> None:
        self.deleted_count = count


class Cursor:
    def __init__(self, line: Line, name: str, condition: Document) -> None:
        self._line, self._name, self._condition = line, name, condition
        self._order: Sequence[tuple[str, int]] = ()
        self._limit = 0

    def sort(self, order: Sequence[tuple[str, int]]) -> Self:
        self._order = order
        return self

    def limit(self, count: int) -> Self:
        self._limit = count
        return self

    def batch_size(self, count: int) -> Self:
        return self

    async def to_list(self, length: int | None) -> list[Document]:
        def look() -> list[Document]:
            found = matching(self._line.database.majority[self._name], self._condition)
            for field, direction in reversed(self._order):
                found.sort(key=lambda document: document[field], reverse=direction < 0)
            return [dict(document) for document in found[: self._limit or None]]

        found: list[Document] = await self._line.read(look)
        return found

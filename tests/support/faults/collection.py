"""The part of Motor's collections that the stores use, over a line to the model of the database."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from datetime import UTC
from typing import Any, Protocol, Self, cast

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, NotPrimaryError, WriteError
from pymongo.read_concern import ReadConcern

from tests.support.faults.database import Document, MemoryDatabase, changed_by, matching

Steps = Generator[None, None, Any]
DUPLICATE_KEY = 11000
INVALID = 121
CODEC: CodecOptions[Any] = CodecOptions(tz_aware=True, tzinfo=UTC)
_BY_SESSION = ("events", "digests")
_REFUSED = {"code": INVALID, "errmsg": "Document failed validation"}


class Server(Protocol):
    """The database as a collection reaches it."""

    database: MemoryDatabase
    stamp: Callable[[Document], None]

    async def read(self, look: Callable[[], Any]) -> Any: ...
    async def write(self, steps: Callable[[], Steps], *, bulk: bool) -> Any: ...


class Collection:
    """The part of a Motor collection that the stores use."""

    def __init__(
        self, line: Server, name: str, linearizable: bool = False, codec_options: CodecOptions[Any] = CODEC
    ) -> None:
        self._line = line
        self._name = name
        self._linearizable = linearizable
        self.codec_options = codec_options

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
        _check_shard(self._name, condition)

        def steps() -> Steps:
            found = matching(self._primary, condition)
            for document in found:
                self._line.database.remove(self._name, document["_id"])
                yield
            return Deleted(len(found))

        result: Deleted = await self._line.write(steps, bulk=False)
        return result

    async def create_indexes(self, indexes: object, **options: object) -> None:
        """Do nothing: reads need no index here."""

    def with_options(
        self, read_concern: ReadConcern | None = None, codec_options: CodecOptions[Any] | None = None
    ) -> Collection:
        """Return a collection whose reads wait until all writes are on a majority, as linearizable reads do, or a
        collection with another codec."""
        return Collection(
            self._line,
            self._name,
            linearizable=self._linearizable or read_concern is not None,
            codec_options=codec_options or self.codec_options,
        )

    async def find_one(self, condition: Document, projection: object = None) -> Document | None:
        if self._linearizable and not await self._line.database.replicate():
            raise NotPrimaryError("not primary any more")
        found = await self.find(condition).to_list(length=None)
        return found[0] if found else None

    def find(self, condition: Document, projection: object = None) -> Cursor:
        return Cursor(self._line, self._name, condition, self.codec_options)


def _check_shard(name: str, condition: Document) -> None:
    """Check that the condition names the session, so that a router asks one shard only, and that no index but `_id`
    serves it."""
    assert name not in _BY_SESSION or {"_id", "sessionId"} <= condition.keys(), f"{name}: {condition}"


class Matched:
    def __init__(self, count: int) -> None:
        self.matched_count = count


class Deleted:
    def __init__(self, count: int) -> None:
        self.deleted_count = count


class Cursor:
    def __init__(self, line: Server, name: str, condition: Document, codec_options: CodecOptions[Any]) -> None:
        _check_shard(name, condition)
        self._line, self._name, self._condition = line, name, condition
        self._codec = codec_options
        self._order: Sequence[tuple[str, int]] = ()
        self._limit = 0
        self._read = False

    def sort(self, order: Sequence[tuple[str, int]]) -> Self:
        self._order = order
        return self

    def limit(self, count: int) -> Self:
        self._limit = count
        return self

    def batch_size(self, count: int) -> Self:
        return self

    async def to_list(self, length: int | None) -> list[Document]:
        """Return all matches on the first call, and nothing afterwards."""

        def look() -> list[Document]:
            found = matching(self._line.database.majority[self._name], self._condition)
            for field, direction in reversed(self._order):
                found.sort(key=lambda document: document[field], reverse=direction < 0)
            return [dict(document) for document in found[: self._limit or None]]

        if self._read:
            return []
        found: list[Document] = await self._line.read(look)
        self._read = True
        if self._codec.document_class is RawBSONDocument:
            return [cast(Document, RawBSONDocument(bson.encode(each), self._codec)) for each in found]
        return found

"""The indexes of the session documents, and the conditions that the database can answer with them."""

from __future__ import annotations

import re
from typing import Any, Final

from pymongo import ASCENDING, IndexModel

from turnwire.store.listing.query import SessionQuery
from turnwire.store.session_filter import SearchFilter, values_written
from turnwire.store.session_patterns import ids_from, ids_like
from turnwire.store.session_record import Document

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ORDER = ("startedAt", "_id")
"""The order of lists. Indexes that end in it give a page without reading all matches."""
CHANGES: Final = ("endedAt", "importedAt", "amendedAt")
"""When a session changed in a way that a search index of another gateway must take in."""
_ANY = ("figures.errors", "figures.toolsFailed")
"""Figures that are above zero in few sessions. Each has an index of those sessions alone, in the order of lists."""


class SessionIndexes:
    """Which indexes exist. The database must not be given a condition that none of them serves: it would read every
    session of a window."""

    def __init__(self) -> None:
        self.metadata_keys: tuple[str, ...] = ()
        self.many = False
        """Whether the indexes for finding past calls exist. In the embedded database, each of them makes writes two or
        three times as expensive.
        """
        self.changes = False
        """Whether the indexes of CHANGES exist in the embedded database, too: one of several gateways on it needs them
        for its search index.
        """

    def models(self) -> list[IndexModel]:
        """Return all indexes, for `create_indexes`."""
        fields: list[tuple[str, ...]] = [_ORDER, ("status", *_ORDER)]
        changes = [_index(name, sparse=name != "endedAt") for name in CHANGES]
        if not self.many:
            return [*(_index(*each) for each in fields), *(changes if self.changes else ())]
        names = "endReason", "language", *(f"metadata.{key}" for key in self.metadata_keys)
        fields += [(name, *_ORDER) for name in names]
        some = [_index(*_ORDER, name, partialFilterExpression={name: {"$gt": 0}}) for name in _ANY]
        return [*(_index(*each) for each in fields), *some, *changes]

    def condition(self, query: SessionQuery) -> Document:
        """Return the condition for the database: those conditions on a session, other than time, that an index
        serves."""
        found: Document = {}
        if query.status:
            found["status"] = query.status[0] if len(query.status) == 1 else {"$in": list(query.status)}
        if not self.many:
            return found
        more = query.more
        if query.language is not None:
            found["language"] = query.language
        if more.end_reason is not None:
            found["endReason"] = more.end_reason or None
        if query.patterns is not None:
            found |= ids_like(query.patterns)
        if more.id_prefix is not None:
            found |= ids_from(more.id_prefix)
        return found | self._metadata(more) | _figures(more)

    def _metadata(self, more: SearchFilter) -> Document:
        """Return the conditions on metadata. MongoDB reads a dot in a key as a path, so such a key has no index."""
        given = [(key, value) for key, value in more.metadata if value and key in self.metadata_keys]
        return {f"metadata.{key}": {"$in": values_written(value)} for key, value in given if _PLAIN_KEY.fullmatch(key)}


def _figures(more: SearchFilter) -> Document:
    found: Document = {}
    if more.has_errors:
        found["figures.errors"] = {"$gt": 0}
    if more.tools_failed:
        found["figures.toolsFailed"] = {"$gte": more.tools_failed}
    return found


def _index(*fields: str, **options: Any) -> IndexModel:
    return IndexModel([(field, ASCENDING) for field in fields], **options)

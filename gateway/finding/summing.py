"""Sums sessions by group, by the search if there is one, else by reading session documents."""

from __future__ import annotations

import asyncio
import sqlite3

from turnwire.gateway.finding.search import Search
from turnwire.protocol.values import unpacked
from turnwire.store.mongo import Store
from turnwire.store.search.sums import Row, Sums, SumsQuery, key_of, summed
from turnwire.store.session_filter import as_text
from turnwire.store.sessions import SessionRecord


class Summing:
    """Asks the search, if there is one that knows all sessions; else reads session documents. Holds no state."""

    def __init__(self, store: Store, search: Search | None) -> None:
        self._store = store
        self._search = search

    async def sums(self, query: SumsQuery) -> Sums:
        """Return the groups and the total. Raises StorageUnavailable."""
        if self._search is not None and self._search.ready:
            try:
                return await self._search.sums(query)
            except sqlite3.Error:
                pass  # the search logs its own faults; reading the documents is slower
        rows: list[Row] = []
        async for record in self._store.sessions.between(query.started_after, query.started_before):
            rows.append(_row(query, record))
        return await asyncio.to_thread(summed, rows, query.group_by)


def _row(query: SumsQuery, record: SessionRecord) -> Row:
    value = as_text(unpacked(record.metadata).get(query.key)) if query.group_by == "metadata" else None
    key = key_of(query, record.started_at, record.language, record.end_reason, value)
    seen = record.figures
    if seen is None or record.ended_at is None:
        return (key, record.status, *[None] * 7)
    interruptions = seen.interruptions.by_user + seen.interruptions.by_bot
    figures = seen.talk_ms, seen.response_p50_ms, seen.response_p95_ms, seen.missed, interruptions
    return (key, record.status, *figures, seen.tools_failed, seen.errors)

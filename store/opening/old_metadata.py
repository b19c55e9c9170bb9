"""Stores large metadata as JSON that an older version has stored as a subdocument."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from turnwire.store.sessions import SessionQuery, SessionStore

_PAGE: Final = 50
"""Sessions that are in memory at a time."""


async def pack_metadata(sessions: SessionStore) -> int:
    """Store the large metadata of all sessions as new sessions store it. Return how many were changed.

    It may be stopped and called again at any time: what is packed already stays as it is. A gateway may amend sessions
    meanwhile. Raises StorageUnavailable.
    """
    changed, query = 0, SessionQuery(limit=_PAGE)
    while sessions.packs and (page := await sessions.stored_page(query)):
        for each in page:
            if each.may_hold_large_document:
                changed += await sessions.pack(each.record())
        query = replace(query, before=(page[-1].started_at, page[-1].session_id))
    return changed

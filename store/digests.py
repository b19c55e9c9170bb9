"""Digests of logs, which save reading them event by event. Each page of positions of a long log has one small document.
A gateway that leaves adds what it knows of the rest."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec import Struct
from pymongo.errors import BulkWriteError, WriteError

from turnwire.protocol.rules import DIGEST_PAGE
from turnwire.store.condition import DatabaseCondition
from turnwire.store.lanes.write_errors import Fault, fault_of, reason_in

_PAGES_AT_ONCE = 50
_log = logging.getLogger("turnwire.store")


MIN_TAIL: Final = 100
"""The minimum number of events for which a tail is worth its query."""


class LogTail(Struct, frozen=True):
    """The eventIds and times of consecutive events, from position `first` on."""

    first: int
    ids: Sequence[str]
    times: array[int]
    """Milliseconds since 1970."""

    @property
    def last(self) -> int:
        return self.first + len(self.ids) - 1


class DigestStore:
    """The stored digests: for each full page of DIGEST_PAGE positions, an 8-byte digest of each eventId, and each time.

    They only save reading: a missing page is read from the log. Methods raise StorageUnavailable.
    """

    def __init__(self, digests: Any, condition: DatabaseCondition) -> None:
        self._digests = digests
        self._condition = condition

    async def save(self, session_id: str, page: int, ids: bytes, times: bytes, life: int | None = None) -> None:
        """Store page number `page` (from 0), as packed by `protocol.log.event_digests` and `pack_times`.

        Safe to repeat. A page that the database refuses is logged and left out.
        """
        document: dict[str, Any] = {
            "_id": digest_key(session_id, page),
            "sessionId": session_id,
            "ids": ids,
            "times": times,
        }
        document |= {} if life is None else {"life": life}
        await self._condition.ask("insert into digests", self._insert(document))

    async def _insert(self, document: dict[str, Any]) -> None:
        try:
            await self._digests.insert_one(document)
        except WriteError as error:
            details = error.details or {}
            fault = fault_of({**details, "code": error.code})
            if fault is Fault.REFUSED or fault is Fault.UNKNOWN:
                _log.error("the database refuses digest page %r: %s", document["_id"], reason_in(dict(details)))
            elif fault is Fault.TROUBLE:
                raise

    async def forget_after(self, session_id: str, last_seq: int, known: int) -> None:
        """Remove the pages that cover positions after `last_seq`. The log once reached `known`, but has lost its end
        since then."""
        keys = [digest_key(session_id, page) for page in range(last_seq // DIGEST_PAGE, known // DIGEST_PAGE)]
        keys.append(tail_key(session_id))
        for start in range(0, len(keys), _PAGES_AT_ONCE):
            condition = {"_id": {"$in": keys[start : start + _PAGES_AT_ONCE]}, "sessionId": session_id}
            await self._condition.ask("delete from digests", self._digests.delete_many(condition))

    async def load(self, session_id: str, last_seq: int, life: int | None = None) -> list[tuple[bytes, bytes]]:
        """Return the (ids, times) of the full pages up to `last_seq`, stopping at the first missing page.

        Pages of an erased session of the same id are ignored, because they have another life.
        """
        keys = [digest_key(session_id, page) for page in range(last_seq // DIGEST_PAGE)]
        found: dict[str, tuple[bytes, bytes]] = {}
        for start in range(0, len(keys), _PAGES_AT_ONCE):
            window = {"_id": {"$in": keys[start : start + _PAGES_AT_ONCE]}, "sessionId": session_id}
            cursor = self._digests.find(window)
            for document in await self._condition.ask("read digests", cursor.to_list(length=None)):
                if document.get("life") == life:
                    found[document["_id"]] = (document["ids"], document["times"])
        pages = []
        for key in keys:
            if key not in found:
                break
            pages.append(found[key])
        return pages

    async def save_tails(self, tails: Sequence[tuple[str, int | None, LogTail]]) -> None:
        """Store the tails (sessionId, life, tail) of a few sessions, replacing older tails.

        Tails are optional: those that cannot be stored are left out.
        """
        documents = [_tail_document(*each) for each in tails]
        older = {name: {"$in": [each[name] for each in documents]} for name in ("_id", "sessionId")}
        await self._condition.ask("delete from digests", self._digests.delete_many(older))
        await self._condition.ask("insert into digests", self._insert_tails(documents))

    async def _insert_tails(self, documents: Sequence[dict[str, Any]]) -> None:
        try:
            await self._digests.insert_many(documents, ordered=False)
        except BulkWriteError as error:  # another leaving gateway was faster, or a validator forbids it
            _log.info("tails that were not stored: %d", len(error.details.get("writeErrors", ())))

    async def load_tail(self, session_id: str, life: int | None) -> LogTail | None:
        """Return the tail that was stored last. The log may have lost its end since, so the caller must check that the
        log still holds the last event of the tail."""
        key = {"_id": tail_key(session_id), "sessionId": session_id}
        found = await self._condition.ask("read digests", self._digests.find_one(key))
        if found is None or found.get("life") != life:
            return None
        return LogTail(found["first"], found["eventIds"], unpack_times(found["times"]))


def tail_key(session_id: str) -> str:
    return f"{session_id}/tail"


def _tail_document(session_id: str, life: int | None, tail: LogTail) -> dict[str, Any]:
    return {
        "_id": tail_key(session_id),
        "sessionId": session_id,
        "life": life,
        "first": tail.first,
        "eventIds": list(tail.ids),
        "times": pack_times(tail.times),
    }


def digest_key(session_id: str, page: int) -> str:
    return f"{session_id}/{page:010d}"


def pack_times(times: Iterable[int]) -> bytes:
    """Pack times in milliseconds since 1970, 8 bytes each."""
    return array("q", times).tobytes()


def unpack_times(packed: bytes) -> array[int]:
    """Reverse `pack_times`."""
    times = array("q")
    times.frombytes(packed)
    return times

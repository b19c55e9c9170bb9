"""Long logs, summed up: a page of positions is one small document, written once and never changed."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

from pymongo.errors import PyMongoError, WriteError

from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.rules import DIGEST_PAGE
from turnwire.store.inserts import DUPLICATE_KEY

_PAGES_AT_ONCE = 50


class DigestStore:
    """For each full page of DIGEST_PAGE positions: 8 bytes of digest of each eventId, and each timestamp.

    A convenience: what is missing here is read from the log. Methods raise StorageUnavailable.
    """

    def __init__(self, digests: Any) -> None:
        self._digests = digests

    async def save(self, session_id: str, page: int, ids: bytes, times: bytes) -> None:
        """Keep page number `page` (from 0): digests as `protocol.rules.pack_digests` makes them, and times as
        `pack_times` does. Repeatable."""
        try:
            await self._digests.insert_one({"_id": _key(session_id, page), "ids": ids, "times": times})
        except WriteError as error:
            if error.code != DUPLICATE_KEY:
                raise StorageUnavailable() from error
        except PyMongoError as error:
            raise StorageUnavailable() from error

    async def load(self, session_id: str, last_seq: int) -> list[tuple[bytes, bytes]]:
        """The (ids, times) of the full pages up to `last_seq`, from the first, as far as they were kept."""
        keys = [_key(session_id, page) for page in range(last_seq // DIGEST_PAGE)]
        found: dict[str, tuple[bytes, bytes]] = {}
        try:
            for start in range(0, len(keys), _PAGES_AT_ONCE):
                window = keys[start : start + _PAGES_AT_ONCE]
                for document in await self._digests.find({"_id": {"$in": window}}).to_list(length=None):
                    found[document["_id"]] = (document["ids"], document["times"])
        except PyMongoError as error:
            raise StorageUnavailable() from error
        pages = []
        for key in keys:
            if key not in found:
                break
            pages.append(found[key])
        return pages


def _key(session_id: str, page: int) -> str:
    return f"{session_id}/{page:010d}"


def pack_times(times: Iterable[int]) -> bytes:
    """Milliseconds since 1970, 8 bytes each."""
    return array("q", times).tobytes()


def unpack_times(packed: bytes) -> array[int]:
    """The reverse of `pack_times`."""
    times = array("q")
    times.frombytes(packed)
    return times

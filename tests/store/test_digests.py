"""Digest pages: summaries of long logs."""

from __future__ import annotations

import pytest

from tests.support.failpoints import failing
from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.log.event_digests import pack_digests
from turnwire.protocol.rules import DIGEST_PAGE
from turnwire.store.digests import pack_times, unpack_times
from turnwire.store.mongo import Store


def page(number: int) -> tuple[bytes, bytes]:
    ids = [f"e{seq}" for seq in range(number * DIGEST_PAGE + 1, (number + 1) * DIGEST_PAGE + 1)]
    return pack_digests(ids), pack_times(range(number, number + DIGEST_PAGE))


async def test_full_digest_pages_are_loaded_in_order(store: Store) -> None:
    digests = store.events.digests
    for number in range(3):
        await digests.save("s/1", number, *page(number))
    assert await digests.load("s/1", 3 * DIGEST_PAGE + 5) == [page(0), page(1), page(2)]
    assert await digests.load("s/1", 3 * DIGEST_PAGE - 1) == [page(0), page(1)]
    assert await digests.load("s/1", DIGEST_PAGE - 1) == []
    assert await digests.load("s", 3 * DIGEST_PAGE) == []


async def test_saving_a_digest_page_again_changes_nothing(store: Store) -> None:
    digests = store.events.digests
    await digests.save("s", 0, *page(0))
    await digests.save("s", 0, *page(1))
    assert await digests.load("s", DIGEST_PAGE) == [page(0)]


async def test_digest_pages_behind_a_missing_one_are_left_out(store: Store) -> None:
    digests = store.events.digests
    for number in (0, 2, 3):
        await digests.save("s", number, *page(number))
    assert await digests.load("s", 4 * DIGEST_PAGE) == [page(0)]


async def test_more_digest_pages_than_one_read_returns_are_loaded(store: Store) -> None:
    digests = store.events.digests
    for number in range(60):
        await digests.save("s", number, b"%08d" % number, b"")
    assert [ids for ids, _ in await digests.load("s", 60 * DIGEST_PAGE)] == [b"%08d" % number for number in range(60)]


def test_times_in_digest_pages_are_packed_exactly() -> None:
    times = [0, -1, 2**62, -(2**62), 1_735_689_600_123]
    assert list(unpack_times(pack_times(times))) == times


async def test_digests_raise_unavailable_when_the_database_is_away(store: Store, database_uri: str) -> None:
    async with failing(database_uri, "find", "insert", errorCode=13):
        with pytest.raises(StorageUnavailable):
            await store.events.digests.load("s", DIGEST_PAGE)
        with pytest.raises(StorageUnavailable):
            await store.events.digests.save("s", 0, *page(0))

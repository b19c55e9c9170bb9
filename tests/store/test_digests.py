"""Pages of long logs, summed up."""

from __future__ import annotations

import pytest

from tests.support.failpoints import failing
from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.rules import DIGEST_PAGE, pack_digests
from turnwire.store.digests import pack_times, unpack_times
from turnwire.store.mongo import Store


def page(number: int) -> tuple[bytes, bytes]:
    ids = [f"e{seq}" for seq in range(number * DIGEST_PAGE + 1, (number + 1) * DIGEST_PAGE + 1)]
    return pack_digests(ids), pack_times(range(number, number + DIGEST_PAGE))


async def test_full_pages_come_back_in_order(store: Store) -> None:
    digests = store.events.digests
    for number in range(3):
        await digests.save("s/1", number, *page(number))
    assert await digests.load("s/1", 3 * DIGEST_PAGE + 5) == [page(0), page(1), page(2)]
    assert await digests.load("s/1", 3 * DIGEST_PAGE - 1) == [page(0), page(1)]
    assert await digests.load("s/1", DIGEST_PAGE - 1) == []
    assert await digests.load("s", 3 * DIGEST_PAGE) == []


async def test_a_page_is_saved_once_and_may_be_saved_again(store: Store) -> None:
    digests = store.events.digests
    await digests.save("s", 0, *page(0))
    await digests.save("s", 0, *page(1))
    assert await digests.load("s", DIGEST_PAGE) == [page(0)]


async def test_pages_behind_one_that_is_missing_are_left_out(store: Store) -> None:
    digests = store.events.digests
    for number in (0, 2, 3):
        await digests.save("s", number, *page(number))
    assert await digests.load("s", 4 * DIGEST_PAGE) == [page(0)]


async def test_more_pages_than_are_read_at_once_come_back(store: Store) -> None:
    digests = store.events.digests
    for number in range(60):
        await digests.save("s", number, b"%08d" % number, b"")
    assert [ids for ids, _ in await digests.load("s", 60 * DIGEST_PAGE)] == [b"%08d" % number for number in range(60)]


def test_times_are_packed_exactly() -> None:
    times = [0, -1, 2**62, -(2**62), 1_735_689_600_123]
    assert list(unpack_times(pack_times(times))) == times


async def test_a_database_that_is_away_is_told(store: Store, database_uri: str) -> None:
    async with failing(database_uri, "find", "insert", errorCode=13):
        with pytest.raises(StorageUnavailable):
            await store.events.digests.load("s", DIGEST_PAGE)
        with pytest.raises(StorageUnavailable):
            await store.events.digests.save("s", 0, *page(0))

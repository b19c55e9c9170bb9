"""The log of revocations on a real database."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.failpoints import failing
from turnwire.protocol.errors import StorageUnavailable
from turnwire.store.mongo import Store
from turnwire.store.revocations import RevocationStore


async def test_revocations_are_read_in_order_by_windows(store: Store) -> None:
    log = store.revocations
    for number in range(103):
        assert await log.append(f"jti:{number}", None if number % 2 else 1.5) == number + 1
    first = await log.read_after(0)
    assert len(first) == 100
    assert first[:2] == [("jti:0", 1.5), ("jti:1", None)]
    assert [mark for mark, _ in await log.read_after(100)] == ["jti:100", "jti:101", "jti:102"]
    assert await log.read_after(103) == []


async def test_gateways_that_revoke_at_once_lose_no_revocation(
    store: Store, database_uri: str, database_name: str
) -> None:
    other = Store.connect(database_uri, database_name)
    logs: list[RevocationStore] = [store.revocations, other.revocations]
    positions = await asyncio.gather(*(logs[number % 2].append(f"sub:{number}", None) for number in range(60)))
    await other.close()
    assert sorted(positions) == list(range(1, 61))
    assert {mark for mark, _ in await store.revocations.read_after(0)} == {f"sub:{number}" for number in range(60)}


async def test_revocations_raise_unavailable_when_the_database_fails(store: Store, database_uri: str) -> None:
    async with failing(database_uri, "insert", errorCode=13):
        with pytest.raises(StorageUnavailable):
            await store.revocations.append("sub:a", None)
    async with failing(database_uri, "find", errorCode=13):
        with pytest.raises(StorageUnavailable):
            await store.revocations.read_after(0)

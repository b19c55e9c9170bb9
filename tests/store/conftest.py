"""Stores for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.forging_proxy import ForgingProxy
from turnwire.store.mongo import Store


@pytest.fixture
async def store(database_uri: str, database_name: str) -> AsyncIterator[Store]:
    """A store on this test's database, with its indexes."""
    store = Store.connect(database_uri, database_name)
    await store.prepare()
    yield store
    await store.close()


@pytest.fixture
async def proxy(database_uri: str) -> AsyncIterator[ForgingProxy]:
    async with ForgingProxy(database_uri) as proxy:
        yield proxy


@pytest.fixture
async def forged(proxy: ForgingProxy, database_name: str) -> AsyncIterator[Store]:
    """A store, not prepared yet, whose database is behind the proxy."""
    store = Store.connect(proxy.uri, database_name)
    yield store
    await store.close()

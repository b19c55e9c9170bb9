"""A store for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from turnwire.store.mongo import Store


@pytest.fixture
async def store(database_uri: str, database_name: str) -> AsyncIterator[Store]:
    """A store on this test's database, with its indexes."""
    store = Store.connect(database_uri, database_name)
    await store.prepare()
    yield store
    await store.close()

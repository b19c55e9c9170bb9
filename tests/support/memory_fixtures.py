"""The fixtures of tests in virtual time, for the conftest of a folder that has only such tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.support.faults.clock import VirtualTimeLoop
from tests.support.faults.database import MemoryDatabase
from tests.support.in_memory import MemoryGateway, memory_database, set_wall_clock

StartMemory = Callable[..., MemoryGateway]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"virtual": VirtualTimeLoop}


@pytest.fixture(autouse=True)
def wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    set_wall_clock(monkeypatch)


@pytest.fixture
def database() -> MemoryDatabase:
    return memory_database()


@pytest.fixture
async def join(database: MemoryDatabase) -> AsyncIterator[StartMemory]:
    """Make gateways with these settings, all on the test's database. They stop at the test's end."""
    made: list[MemoryGateway] = []

    def make(**settings: Any) -> MemoryGateway:
        made.append(MemoryGateway(database, **settings))
        return made[-1]

    yield make
    for gateway in made:
        await gateway.stop()


@pytest.fixture
async def here(join: StartMemory) -> MemoryGateway:
    return join()


@pytest.fixture
async def there(join: StartMemory) -> MemoryGateway:
    return join()

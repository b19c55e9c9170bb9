"""Virtual time, a model of the database, and gateways on it whose webhooks tell one receiver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.gateway.webhooks.in_memory.receivers import Receiver, Teller
from tests.support.faults.database import MemoryDatabase
from tests.support.in_memory import MemoryGateway, virtual_now
from tests.support.memory_fixtures import database, pytest_asyncio_loop_factories, wall_clock
from turnwire.gateway.webhooks import registry, round, telling

__all__ = ["database", "pytest_asyncio_loop_factories", "wall_clock"]

Tell = Callable[..., tuple[MemoryGateway, Teller]]


@pytest.fixture(autouse=True)
def webhook_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (registry, round, telling):
        monkeypatch.setattr(module, "utc_now", virtual_now)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def tell(database: MemoryDatabase, receiver: Receiver) -> AsyncIterator[Tell]:
    """Start gateways with webhooks, all on the test's database. They stop at its end."""
    made: list[tuple[MemoryGateway, Teller]] = []

    def start(*, most_sessions: int = 1000, **settings: Any) -> tuple[MemoryGateway, Teller]:
        gateway = MemoryGateway(database, **{"alone": True, "search": "off", "expire_after": 0, **settings})
        teller = Teller(gateway, receiver, most_sessions=most_sessions)
        teller.start()
        made.append((gateway, teller))
        return made[-1]

    yield start
    for gateway, teller in made:
        await teller.stop()
        await gateway.stop()

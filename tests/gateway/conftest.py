"""Gateways for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.gateways import Gateway, StartGateway


@pytest.fixture
async def start_gateway(database_uri: str, database_name: str) -> AsyncIterator[StartGateway]:
    """Starts gateways with these settings, all on this test's database unless they name another; stopped at its end."""
    started: list[Gateway] = []

    async def start(**settings: Any) -> Gateway:
        settings = {"mongodb_uri": database_uri, "mongodb_database": database_name, **settings}
        started.append(await Gateway.start(**settings))
        return started[-1]

    yield start
    for gateway in reversed(started):
        await gateway.stop()


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    """A gateway with the default settings."""
    return await start_gateway()

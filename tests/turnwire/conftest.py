"""A gateway for each test of the client library, and a network in between that can be broken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.gateways import Gateway, StartGateway
from tests.turnwire.relay import Relay


@pytest.fixture
async def start_gateway(database_uri: str, database_name: str) -> AsyncIterator[StartGateway]:
    """Starts gateways with these settings, all on this test's database; stopped at its end."""
    started: list[Gateway] = []

    async def start(**settings: Any) -> Gateway:
        started.append(
            await Gateway.start(**{"mongodb_uri": database_uri, "mongodb_database": database_name, **settings})
        )
        return started[-1]

    yield start
    for gateway in reversed(started):
        await gateway.stop()


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    """A gateway with the default settings."""
    return await start_gateway()


@pytest.fixture
async def relay(gateway: Gateway) -> AsyncIterator[Relay]:
    """A way to the gateway that can be broken."""
    async with Relay(gateway.port) as relay:
        yield relay

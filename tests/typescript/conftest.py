"""A Node with the client, and a network between it and its gateway that a test can break."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.gateways import Gateway
from tests.turnwire.relay import Relay
from tests.typescript.node import Node


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    async with Node() as node:
        yield node


@pytest.fixture
async def relay(gateway: Gateway) -> AsyncIterator[Relay]:
    """A connection to the gateway that a test can break."""
    async with Relay(gateway.port) as relay:
        yield relay

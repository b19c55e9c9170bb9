"""A network between each test of the client library and its gateway that can be broken."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.gateways import Gateway
from tests.turnwire.relay import Relay


@pytest.fixture
async def relay(gateway: Gateway) -> AsyncIterator[Relay]:
    """A connection to the gateway that a test can break."""
    async with Relay(gateway.port) as relay:
        yield relay


@pytest.fixture(autouse=True)
def _back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients reconnect without the random second of delay. Tests of that delay set it again."""
    monkeypatch.setattr("turnwire.connecting.backoff.SPREAD", 0.02)

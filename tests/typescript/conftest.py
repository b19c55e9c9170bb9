"""A Node with the client, and a network between it and its gateway that a test can break."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Final

import pytest

from tests.support.gateways import Gateway
from tests.turnwire.relay import Relay
from tests.typescript.node import Node

PRINTED: Final = "printed"
"""The name of a property whose value is printed at the end of the run: processes of pytest-xdist print nothing."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in itertools.chain(*terminalreporter.stats.values()):
        for name, value in getattr(report, "user_properties", ()):
            if name == PRINTED and report.when == "call":
                terminalreporter.write_line(str(value))


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    async with Node() as node:
        yield node


@pytest.fixture
async def relay(gateway: Gateway) -> AsyncIterator[Relay]:
    """A connection to the gateway that a test can break."""
    async with Relay(gateway.port) as relay:
        yield relay

"""What every test may use: one real database server for the run, a fresh database for each test, gateways."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from uuid import uuid4

import pytest
import uvloop
from hypothesis import settings

from tests.support.gateways import Gateway, StartGateway, gateways_on
from tests.support.processes import EMBEDDED_COMMAND
from turnwire.store.embedded.server import EmbeddedDatabase

# Storage and sockets take unpredictable time, which the time limit of each test bounds.
settings.register_profile("turnwire", deadline=None, print_blob=True)
settings.load_profile("turnwire")


@pytest.fixture(scope="session")
def database_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a database server that lives as long as the run, with test commands such as configureFailPoint.

    Do not kill it: a test that needs to starts its own EmbeddedDatabase.
    """
    database = EmbeddedDatabase(tmp_path_factory.mktemp("database"), command=EMBEDDED_COMMAND, test_commands=True)
    # The server gets its own loop, which runs only here, because no test's loop lives as long as the server.
    loop = asyncio.new_event_loop()
    loop.run_until_complete(database.start())
    yield f"{database.uri}?heartbeatFrequencyMS=500"
    loop.run_until_complete(database.stop())
    loop.close()


@pytest.fixture
def database_name() -> str:
    """The name of a database that no other test uses."""
    return f"test-{uuid4().hex}"


@pytest.fixture
async def start_gateway(database_uri: str, database_name: str) -> AsyncIterator[StartGateway]:
    """Start gateways with these settings, on this test's database unless they name another. They stop at its end."""
    async with gateways_on(database_uri, database_name) as start:
        yield start


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    """A gateway with the default settings."""
    return await start_gateway()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Run no garbage collector meanwhile, and none on the tests later: scans would take a third of the collection, and
    find nothing, because all tests stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as `quick` what is decided in this process alone, and soon: no database, no process, no search for
    counterexamples."""
    for item in items:
        marked = any(item.get_closest_marker(name) for name in ("e2e", "faults", "property", "slow"))
        searches = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        if not marked and not searches and "database_uri" not in getattr(item, "fixturenames", ()):
            item.add_marker("quick")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The tests run on the event loop that the gateway runs on."""
    return {"uvloop": uvloop.new_event_loop}

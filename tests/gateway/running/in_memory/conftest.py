"""Virtual time, a model of the database, and gateways on it: these tests need neither a process nor a socket."""

from tests.support.memory_fixtures import database, here, join, pytest_asyncio_loop_factories, there, wall_clock

__all__ = ["database", "here", "join", "pytest_asyncio_loop_factories", "there", "wall_clock"]

"""Virtual time, and a model of the database."""

from __future__ import annotations

from tests.support.memory_fixtures import database, here, join, pytest_asyncio_loop_factories, wall_clock

__all__ = ["database", "here", "join", "pytest_asyncio_loop_factories", "wall_clock"]

"""A thread that reads the search index."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from turnwire.store.search.finder import Finder

T = TypeVar("T")


class SearchReader:
    """Reads in its own thread and on its own connection, so that slow questions keep no other reader waiting."""

    def __init__(self, path: Path, name: str) -> None:
        """`name`: the name of the thread."""
        self._path = path
        self._thread = ThreadPoolExecutor(1, name)
        self._finder: Finder | None = None

    async def open(self) -> None:
        """Open the connection. Raises sqlite3.Error, OSError."""
        self._finder = await asyncio.get_running_loop().run_in_executor(self._thread, Finder, self._path)

    async def ask(self, question: Callable[[Finder], T]) -> T:
        """Ask a question. Raises sqlite3.Error."""
        finder = self._finder
        if finder is None:
            raise sqlite3.OperationalError("the search is not open")
        return await asyncio.get_running_loop().run_in_executor(self._thread, question, finder)

    async def close(self) -> None:
        """Close the connection. A question that is being answered fails with sqlite3.Error."""
        if self._finder is not None:
            self._finder.connection.interrupt()
            await asyncio.get_running_loop().run_in_executor(self._thread, self._finder.close)
            self._finder = None
        self._thread.shutdown(wait=False)

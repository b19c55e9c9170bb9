"""A model of an object store, without threads, so that it runs in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from turnwire.store.archive.objects import ArchiveMissing, ArchiveUnavailable, Objects

T = TypeVar("T")


class MemoryObjects(Objects):
    """Keeps objects in memory. An object is there as a whole or not at all."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.away = False
        self.before: Callable[[str], Awaitable[None]] = _nothing
        """Awaited before each request, with its name; may raise."""
        self.reads = 0

    async def work(self, function: Callable[..., T], *arguments: Any) -> T:
        return function(*arguments)

    async def put(self, key: str, parts: AsyncIterator[bytes], may_finish: Callable[[], Awaitable[None]]) -> None:
        data = b"".join([part async for part in parts])
        await may_finish()
        await self._ask("put")
        self.kept[key] = data
        await self._ask("answer put")

    async def read(self, key: str) -> bytes:
        await self._ask("read")
        self.reads += 1
        if key not in self.kept:
            raise ArchiveMissing(key)
        return self.kept[key]

    async def read_range(self, key: str, offset: int, length: int) -> bytes:
        return (await self.read(key))[offset : offset + length]

    async def size(self, key: str) -> int:
        return len(await self.read(key))

    async def keys(self, folder: str) -> list[str]:
        await self._ask("keys")
        return [key for key in self.kept if key.startswith(f"{folder}/")]

    async def delete(self, key: str) -> None:
        await self._ask("delete")
        self.kept.pop(key, None)

    async def tidy(self, folder: str) -> None:
        await self._ask("tidy")

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    async def _ask(self, name: str) -> None:
        await self.before(name)
        await asyncio.sleep(0.001)
        if self.away:
            raise ArchiveUnavailable("no route to host")


async def _nothing(_name: str) -> None:
    """Do nothing: no request fails."""

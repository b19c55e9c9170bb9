"""A log of revocations in memory, which several gateways may share."""

from __future__ import annotations

from turnwire.protocol.errors import StorageUnavailable


class MemoryLog:
    """Behaves like the store's log, without a database. `away` makes it unavailable."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, float | None]] = []
        self.away = False

    async def append(self, mark: str, before: float | None) -> None:
        self._check()
        self.entries.append((mark, before))

    async def read_after(self, position: int) -> list[tuple[str, float | None]]:
        self._check()
        return self.entries[position : position + 100]

    def _check(self) -> None:
        if self.away:
            raise StorageUnavailable

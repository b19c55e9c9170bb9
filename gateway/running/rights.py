"""Keeps keys and revocations up to date, and closes connections whose credential is gone."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from turnwire.gateway.access.access import REFRESH_SECONDS, Access
from turnwire.gateway.connections.open_connections import Follower, OpenConnection, OpenConnections
from turnwire.gateway.running.periodic import Periodic

_log = logging.getLogger("turnwire.access")
_START_SECONDS: Final = 3.0
"""How long the start waits for keys and revocations. Until they are known, credentials are answered 503."""
_WARN_SECONDS: Final = 600.0
_SLICE: Final = 200
"""Connections whose rights are checked before other tasks get a turn."""


class RightsWatch:
    """Keeps keys and revocations up to date. Owned by its own tasks."""

    def __init__(self, access: Access, connections: OpenConnections) -> None:
        self._access = access
        self._connections = connections
        self._seen = 0

    async def start(self, periodic: Periodic) -> None:
        """Read keys and revocations, then keep them up to date."""
        if self._access.mode.warning is not None:
            await self._warn()
            periodic.every(_WARN_SECONDS, self._warn)
        if self._access.credentials is None:
            return
        first = [asyncio.create_task(self._refresh()), asyncio.create_task(self._access.refresh_key_set())]
        _, late = await asyncio.wait(first, timeout=_START_SECONDS)
        for each in late:
            each.cancel()
        await asyncio.gather(*first, return_exceptions=True)
        periodic.every(REFRESH_SECONDS, self._refresh)
        periodic.every(REFRESH_SECONDS, self._access.refresh_key_set)

    async def _warn(self) -> None:
        _log.warning("%s", self._access.mode.warning)

    async def reload(self) -> None:
        """Read all key files and revocations again."""
        await asyncio.gather(self._refresh(force=True), self._access.refresh_key_set(force=True))

    async def _refresh(self, *, force: bool = False) -> None:
        await self._access.refresh(force=force)
        credentials = self._access.credentials
        if credentials is not None and credentials.generation != self._seen:
            self._seen = credentials.generation
            await self._judge_all()

    async def _judge_all(self) -> None:
        """Close the connections that are no longer allowed."""
        held: list[OpenConnection | Follower] = [*self._connections.connections, *self._connections.followers]
        for start in range(0, len(held), _SLICE):
            for each in held[start : start + _SLICE]:
                each.judge_again()
            await asyncio.sleep(0)

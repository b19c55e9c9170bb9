"""Health for load balancers and people: is the process alive, can it serve, does the database answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Literal

from aiohttp import hdrs, web

from turnwire.gateway.keys import HUB
from turnwire.protocol.bodies import Dependencies, Health
from turnwire.protocol.codec import JSON
from turnwire.protocol.times import format_time
from turnwire.version import __version__

SERVICE = "turnwire"
_log = logging.getLogger("turnwire.health")
_FRESH_SECONDS = 1.0
_LIVENESS_PATIENCE = 0.2
"""Seconds a liveness answer waits for the storage: orchestrators kill what does not answer within a second."""

Status = Literal["ok", "degraded", "down"]


class StorageProbe:
    """Whether the storage answers: asked at most once a second, one ping shared by all who ask meanwhile.

    Owner of the ping's task, of which there is at most one.
    """

    def __init__(self, ping: Callable[[], Awaitable[bool]]) -> None:
        self._ping = ping
        self._answer = False
        self._fresh_until = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def is_up(self, patience: float | None = None) -> bool:
        """Waits for the answer, or at most `patience` seconds for it and else says what was last known."""
        loop = asyncio.get_running_loop()
        if self._task is None:
            if loop.time() < self._fresh_until:
                return self._answer
            self._task = loop.create_task(self._ask(), name="storage-ping")
        await asyncio.wait([self._task], timeout=patience)
        return self._answer

    async def _ask(self) -> None:
        try:
            self._answer = await self._ping()
            self._fresh_until = asyncio.get_running_loop().time() + _FRESH_SECONDS
        except Exception:
            self._answer = False
            _log.exception("the storage could not even be asked")
        finally:
            self._task = None

    async def close(self) -> None:
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait([task])


_PROBE: web.AppKey[StorageProbe] = web.AppKey("storage_probe")


async def storage_is_up(app: web.Application, patience: float | None = None) -> bool:
    """Whether the database answers, as of at most a second ago. See `StorageProbe.is_up`."""
    return await app[_PROBE].is_up(patience)


async def read_health(request: web.Request) -> web.Response:
    """`down` when the database is away, `degraded` while the gateway is going away."""
    up = await storage_is_up(request.app)
    status: Status = "down" if not up else "degraded" if request.app[HUB].draining else "ok"
    return _answer(status, up=up, serves=up)


async def read_liveness(request: web.Request) -> web.Response:
    """The process answers: 200, whatever the database does; a restart would not bring that back."""
    up = await storage_is_up(request.app, _LIVENESS_PATIENCE)
    return _answer("ok" if up else "degraded", up=up, serves=True)


async def read_readiness(request: web.Request) -> web.Response:
    """Whether to send traffic here: not without the database, and not while the gateway is going away."""
    up = await storage_is_up(request.app)
    draining = request.app[HUB].draining
    return _answer("down" if not up else "degraded" if draining else "ok", up=up, serves=up and not draining)


def _answer(status: Status, *, up: bool, serves: bool) -> web.Response:
    health = Health(
        status=status,
        timestamp=format_time(datetime.now(UTC)),
        service=SERVICE,
        version=__version__,
        dependencies=Dependencies(mongodb="up" if up else "down"),
    )
    return web.Response(
        status=200 if serves else 503,
        body=JSON.encode(health),
        content_type="application/json",
        charset="utf-8",
        headers={hdrs.CACHE_CONTROL: "no-store"} | ({} if serves else {hdrs.RETRY_AFTER: "1"}),
    )


async def _probe_context(app: web.Application) -> AsyncIterator[None]:
    app[_PROBE] = StorageProbe(app[HUB].store.ping)
    yield
    await app[_PROBE].close()


def add_health_routes(app: web.Application) -> None:
    """To be called when the hub's own context has been added."""
    app.cleanup_ctx.append(_probe_context)
    app.router.add_get("/health", read_health)
    app.router.add_get("/health/live", read_liveness)
    app.router.add_get("/health/ready", read_readiness)

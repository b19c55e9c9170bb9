"""Health for load balancers and people: is the process alive, can it serve, does the database answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from aiohttp import hdrs, web

from turnwire.gateway.access.guard import principal_of
from turnwire.gateway.connections.open_connections import OpenConnections
from turnwire.protocol.bodies import Dependencies, Health
from turnwire.protocol.codec import JSON
from turnwire.protocol.rights import Scope
from turnwire.protocol.times import format_time
from turnwire.store.probe import StorageProbe
from turnwire.version import __version__

SERVICE = "turnwire"
_LIVENESS_PATIENCE = 0.2
"""Seconds a liveness answer waits for the storage: orchestrators kill what does not answer within a second."""

Status = Literal["ok", "degraded", "down"]


class HealthRoutes:
    """`/health`, `/health/live`, `/health/ready`."""

    def __init__(self, probe: StorageProbe, connections: OpenConnections) -> None:
        self._probe = probe
        self._connections = connections

    async def read_health(self, request: web.Request) -> web.Response:
        """`down` when the database is away, `degraded` while the gateway is going away."""
        principal_of(request).require(Scope.METRICS)
        up = await self._probe.is_up()
        status: Status = "down" if not up else "degraded" if self._connections.draining else "ok"
        return _answer(status, up=up, serves=up)

    async def read_liveness(self, _request: web.Request) -> web.Response:
        """The process answers: 200, whatever the database does; a restart would not bring that back."""
        up = await self._probe.is_up(_LIVENESS_PATIENCE)
        return _answer("ok" if up else "degraded", up=up, serves=True)

    async def read_readiness(self, _request: web.Request) -> web.Response:
        """Whether to send traffic here: not without the database, and not while the gateway is going away."""
        up = await self._probe.is_up()
        draining = self._connections.draining
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

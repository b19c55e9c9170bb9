"""Health for load balancers and people: whether the process runs, can serve, and reaches the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from aiohttp import hdrs, web
from msgspec import UNSET

from turnwire.gateway.access.guard import principal_of
from turnwire.gateway.connections.open_connections import OpenConnections
from turnwire.protocol.bodies import Dependencies, Health
from turnwire.protocol.codec import JSON
from turnwire.protocol.rights import Scope
from turnwire.protocol.times import format_time
from turnwire.store.condition import StorageState
from turnwire.store.probe import StorageProbe
from turnwire.version import __version__

SERVICE = "turnwire"
_PATIENCE = 0.2
"""How many seconds an answer waits for the storage if its status does not depend on the storage. Orchestrators kill a
process that is silent for a second."""

Status = Literal["ok", "degraded", "down"]


class HealthRoutes:
    """`/health`, `/health/live`, `/health/ready`."""

    def __init__(self, probe: StorageProbe, connections: OpenConnections, bus_state: Callable[[], bool | None]) -> None:
        """`bus_state` returns whether the bus to other gateways works; None if there is no bus."""
        self._probe = probe
        self._connections = connections
        self._bus_state = bus_state

    async def read_health(self, request: web.Request) -> web.Response:
        """Answer `down` while the database is away, `degraded` while the gateway drains or the bus does not work."""
        principal_of(request).require(Scope.METRICS)
        state = await self._probe.state()
        return self._answer(self._status(up=state.up), state, serves=state.up)

    async def read_liveness(self, _request: web.Request) -> web.Response:
        """Answer 200 whatever the state of the database, because restarting this process would not repair it.

        So the answer does not wait for a busy database. The time that it takes shows how long the event loop was busy.
        """
        state = await self._probe.recent_state(_PATIENCE)
        return self._answer("ok" if state.up else "degraded", state, serves=True)

    async def read_readiness(self, _request: web.Request) -> web.Response:
        """Answer 200 if traffic may be sent here: the database answers and the gateway is not draining.

        A gateway that drains does not wait for a silent database to say so.
        """
        state = await self._probe.state(_PATIENCE if self._connections.leaving else None)
        return self._answer(self._status(up=state.up), state, serves=state.up and not self._connections.leaving)

    def _status(self, *, up: bool) -> Status:
        if not up:
            return "down"
        return "degraded" if self._connections.leaving or self._bus_state() is False else "ok"

    def _answer(self, status: Status, state: StorageState, *, serves: bool) -> web.Response:
        bus_up = self._bus_state()
        health = Health(
            status=status,
            timestamp=format_time(datetime.now(UTC)),
            service=SERVICE,
            version=__version__,
            dependencies=Dependencies(
                mongodb=_state(up=state.up), redis=UNSET if bus_up is None else _state(up=bus_up)
            ),
            reasons=UNSET if state.refusal is None else {"mongodb": state.refusal},
        )
        return web.Response(
            status=200 if serves else 503,
            body=JSON.encode(health),
            content_type="application/json",
            charset="utf-8",
            headers={hdrs.CACHE_CONTROL: "no-store"} | ({} if serves else {hdrs.RETRY_AFTER: "1"}),
        )


def _state(*, up: bool) -> Literal["up", "down"]:
    return "up" if up else "down"

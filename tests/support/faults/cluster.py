"""Several gateways on one database, with Redis between them and a balancer before them, all of which may be broken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from tests.support.balancer import Balancer, running
from tests.support.faults.rig import FAST_HEARTBEAT, database_in, gateway_on
from tests.support.faults.wire import Wire
from tests.support.load.client import ANY, Target
from tests.support.processes import GatewayProcess
from tests.support.redis import RedisServer, free_port
from turnwire.store.embedded.server import EmbeddedDatabase

_NOTICED_SECONDS = 1.0
"""HAProxy asks a gateway twice a second whether it is ready."""


class Cluster:
    """Owner of the processes. `running` starts and ends all of them."""

    database: EmbeddedDatabase
    wire: Wire
    """Between the gateways and Redis."""

    def __init__(self, directory: Path) -> None:
        self.target = Target(process=ANY)
        """Leads clients to the balancer."""
        self.redis = RedisServer(directory)
        self.gateways: list[GatewayProcess] = []
        self._directory = directory

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        directory: Path,
        gateways: int = 3,
        *,
        database: str | None = None,
        env: Mapping[str, str] | None = None,
        proxy: str = "haproxy.cfg",
    ) -> AsyncIterator[Cluster]:
        """`database` is the URI of a database that others own; without it, there is a fresh one. `proxy` is the
        balancer's sample."""
        cluster = cls(directory)
        async with AsyncExitStack() as started:
            started.enter_context(cluster.redis)
            cluster.wire = await started.enter_async_context(Wire(cluster.redis.port))
            if database is None:
                cluster.database = await started.enter_async_context(database_in(directory / "database"))
                database = f"{cluster.database.uri}?{FAST_HEARTBEAT}"
            settings = {
                "REDIS_URL": f"redis://127.0.0.1:{cluster.wire.port}",
                "TURNWIRE_DRAIN_DELAY": str(_NOTICED_SECONDS),
                **(env or {}),
            }
            ports = [free_port() for _ in range(gateways)]
            cluster.gateways = [
                gateway_on(directory / f"gateway-{number}", database, port=port, env=settings)
                for number, port in enumerate(ports, start=1)
            ]
            await asyncio.gather(*(started.enter_async_context(each) for each in cluster.gateways))
            balancer = Balancer(directory, ports)
            await started.enter_async_context(running(balancer, proxy))
            cluster.target.url = balancer.urls()[0].replace("localhost", "127.0.0.1")
            yield cluster

    async def bus_is(self, state: str, timeout: float = 20.0) -> None:
        """Return once all gateways report this state of Redis: `up` or `down`."""
        async with aiohttp.ClientSession() as http, asyncio.timeout(timeout):
            for gateway in self.gateways:
                while await _redis_of(http, gateway) != state:
                    await asyncio.sleep(0.05)

    async def restart(self, gateway: GatewayProcess) -> float:
        """Send SIGTERM, start a new process on the same port, and put it behind the balancer again. Return how long the
        exit took."""
        began = asyncio.get_running_loop().time()
        status = await asyncio.to_thread(gateway.terminate)
        took = asyncio.get_running_loop().time() - began
        assert status == 0, gateway.output
        await asyncio.to_thread(gateway.start)
        await asyncio.sleep(_NOTICED_SECONDS)
        return took


async def _redis_of(http: aiohttp.ClientSession, gateway: GatewayProcess) -> str | None:
    try:
        async with http.get(f"{gateway.url}/health", timeout=aiohttp.ClientTimeout(total=2)) as answer:
            state: str | None = (await answer.json())["dependencies"].get("redis")
            return state
    except (aiohttp.ClientError, TimeoutError):
        return None

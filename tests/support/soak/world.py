"""The environment of a soak: one database, a proxy in front of it, gateways that replace each other, and all the
clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from random import Random

import aiohttp
import psutil

from tests.support.faults.proxy import Proxy
from tests.support.faults.rig import database_in, gateway_on, rss, start
from tests.support.faults.wire import Wire
from tests.support.load.client import Client, Spread, Target
from tests.support.processes import GatewayProcess
from tests.support.redis import RedisServer
from tests.support.soak.clients import RestClient
from tests.support.soak.sessions import SoakSession, Tally
from turnwire.store.embedded.server import EmbeddedDatabase

LIFE_SECONDS = (60.0, 120.0)
_GATEWAY = {"TURNWIRE_MAX_OUTBOX_BYTES": "65536"}  # so that subscribers that do not read are soon behind
_DRIVER = "&timeoutMS=3000&connectTimeoutMS=2000"  # so that faults end within the five seconds to the next one


class SoakWorld:
    """Owner of the processes and the sessions. `running` starts and ends all of them."""

    database: EmbeddedDatabase
    proxy: Proxy
    http: aiohttp.ClientSession
    redis: RedisServer | None = None
    """Between the gateways, where there are several."""
    to_redis: Wire

    def __init__(self, directory: Path, seed: int, *, sessions: int, rate: float) -> None:
        self.target = Spread(random=Random(seed))
        self.tally = Tally()
        self.peak_rss = 0
        self.over = asyncio.Event()
        """Set when no new session should begin and the open ones should end."""
        self.sessions: list[SoakSession] = []
        self._directory = directory
        self.seed = seed
        self._random = Random(seed)
        self._slots = sessions
        self._rate = rate / sessions
        self._numbers = count(1)
        self.gateways: list[GatewayProcess] = []
        """The gateways that run, including those that clients are no longer directed to."""
        self._targets: dict[GatewayProcess, Target] = {}

    @classmethod
    @asynccontextmanager
    async def running(
        cls, directory: Path, seed: int, *, sessions: int, rate: float, gateways: int
    ) -> AsyncIterator[SoakWorld]:
        world = cls(directory, seed, sessions=sessions, rate=rate)
        timeouts = aiohttp.ClientTimeout(total=None, sock_connect=5.0)
        async with (
            database_in(directory / "database", test_commands=True) as world.database,
            Proxy(world.database.uri, seed) as world.proxy,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeouts) as world.http,
            AsyncExitStack() as started,
        ):
            try:
                if gateways > 1:
                    world.redis = started.enter_context(RedisServer(directory))
                    world.to_redis = await started.enter_async_context(Wire(world.redis.port))
                for _ in range(gateways):
                    await world.succeed()
                yield world
            finally:
                for session in world.sessions:
                    session.cancel()
                for gateway in world.gateways:
                    with suppress(ProcessLookupError):
                        await asyncio.to_thread(gateway.kill)

    @property
    def rest(self) -> RestClient:
        return RestClient(self.http, self.target)

    # Gateways

    async def succeed(self, port: int = 0) -> None:
        """Start one more gateway and direct clients to it."""
        number = next(self._numbers)
        env = _GATEWAY | ({} if self.redis is None else {"REDIS_URL": f"redis://127.0.0.1:{self.to_redis.port}"})
        gateway = gateway_on(self._directory / f"gateway-{number}", self.proxy.uri + _DRIVER, port=port, env=env)
        self.gateways.append(gateway)
        target = self._targets[gateway] = Target()
        await start(gateway, target)
        self.target.among.append(target)

    def avoid(self, gateway: GatewayProcess) -> None:
        """Direct no more clients to it, like a balancer that has noticed its failure."""
        target = self._targets[gateway]
        if target in self.target.among:
            self.target.among.remove(target)

    def forget(self, gateway: GatewayProcess) -> None:
        """Forget a gateway that has ended."""
        self.avoid(gateway)
        self.gateways.remove(gateway)

    def measure(self) -> None:
        for gateway in self.gateways:
            with suppress(psutil.Error, AssertionError):  # one that is starting may have no process yet
                self.peak_rss = max(self.peak_rss, rss(gateway.pid))

    # Sessions

    async def serve_sessions(self) -> None:
        """Run one session after another in each slot, until the soak is over."""
        async with asyncio.TaskGroup() as group:
            for slot in range(self._slots):
                group.create_task(self._serve_slot(slot, Random(self._random.random())))

    async def _serve_slot(self, slot: int, random: Random) -> None:
        for number in count(1):
            session_id = f"soak-{self.seed}-{slot}-{number}"
            await self.rest.create(session_id)
            session = SoakSession(self.http, self.target, session_id, Random(random.random()), self._rate)
            self.sessions.append(session)
            # The first sessions end at different times, so that sessions of all ages exist at any moment.
            shortest = LIFE_SECONDS[0] if number > 1 else LIFE_SECONDS[0] / 4
            with suppress(TimeoutError):
                async with asyncio.timeout(random.uniform(shortest, LIFE_SECONDS[1])):
                    await self.over.wait()
            await session.end(self.tally, self._directory)
            self.sessions.remove(session)
            if self.over.is_set():
                return

    @property
    def living(self) -> list[SoakSession]:
        return [session for session in self.sessions if session.live]

    @property
    def clients(self) -> list[Client]:
        return [client for session in self.sessions for client in (*session.publishers, *session.subscribers)]

    @property
    def acks(self) -> int:
        """Return the results so far, including those of open sessions."""
        return self.tally.acks + sum(len(each.acked) for session in self.sessions for each in session.publishers)

"""The world of a soak: one database, a proxy in front of it, one gateway after another, and all the clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from random import Random

import aiohttp
import psutil

from tests.support.faults.proxy import Proxy
from tests.support.faults.rig import database_in, gateway_on, rss, start
from tests.support.load.publishers import Client, Target
from tests.support.processes import GatewayProcess
from tests.support.soak.clients import RestClient
from tests.support.soak.sessions import SoakSession, Tally
from turnwire.store.embedded.server import EmbeddedDatabase

LIFE_SECONDS = (60.0, 120.0)
_GATEWAY = {"TURNWIRE_MAX_OUTBOX_BYTES": "65536"}  # so that subscribers that do not read are soon behind
_DRIVER = "&timeoutMS=3000&connectTimeoutMS=2000"  # so that faults end within the five seconds to the next one


class SoakWorld:
    """Owner of the processes and the sessions. `running` starts and ends all of it."""

    def __init__(self, directory: Path, seed: int, *, sessions: int, rate: float) -> None:
        self.target = Target()
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
        self._gateways: list[GatewayProcess] = []

    @classmethod
    @asynccontextmanager
    async def running(cls, directory: Path, seed: int, *, sessions: int, rate: float) -> AsyncIterator[SoakWorld]:
        world = cls(directory, seed, sessions=sessions, rate=rate)
        timeouts = aiohttp.ClientTimeout(total=None, sock_connect=5.0)
        async with (
            database_in(directory / "database", test_commands=True) as world.database,
            Proxy(world.database.uri, seed) as world.proxy,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeouts) as world.http,
        ):
            try:
                await world.succeed()
                yield world
            finally:
                for session in world.sessions:
                    session.cancel()
                for gateway in world._gateways:
                    with suppress(ProcessLookupError):
                        await asyncio.to_thread(gateway.kill)

    database: EmbeddedDatabase
    proxy: Proxy
    http: aiohttp.ClientSession

    @property
    def rest(self) -> RestClient:
        return RestClient(self.http, self.target)

    # Gateways

    @property
    def gateway(self) -> GatewayProcess:
        """The gateway that clients are led to."""
        return self._gateways[-1]

    async def succeed(self, port: int = 0) -> None:
        """Start one more gateway and lead the clients to it."""
        number = next(self._numbers)
        gateway = gateway_on(self._directory / f"gateway-{number}", self.proxy.uri + _DRIVER, port=port, env=_GATEWAY)
        self._gateways.append(gateway)
        await start(gateway, self.target)

    def forget(self, gateway: GatewayProcess) -> None:
        """Note that the gateway has ended."""
        self._gateways.remove(gateway)

    def measure(self) -> None:
        with suppress(psutil.Error, AssertionError):  # one that is starting may have no process yet
            self.peak_rss = max(self.peak_rss, rss(self.gateway.pid))

    # Sessions

    async def serve_sessions(self) -> None:
        """Run one session after the other in each slot, until the soak is over."""
        async with asyncio.TaskGroup() as group:
            for slot in range(self._slots):
                group.create_task(self._serve_slot(slot, Random(self._random.random())))

    async def _serve_slot(self, slot: int, random: Random) -> None:
        for number in count(1):
            session_id = f"soak-{self.seed}-{slot}-{number}"
            await self.rest.create(session_id)
            session = SoakSession(self.http, self.target, session_id, Random(random.random()), self._rate)
            self.sessions.append(session)
            # The first ones end at different times, so that not all are young, or old, at once.
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

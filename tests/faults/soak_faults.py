"""The faults of a soak. Each takes a few seconds and is over when its function returns. Recovery follows."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from random import Random

from tests.faults.runs.machine import NoMoreWrites
from tests.faults.runs.network import FAILURES, WRITES
from tests.support.failpoints import failing
from tests.support.faults.proxy import Fault, every
from tests.support.faults.rig import eventually, kill, now, paused, pid_of
from tests.support.load.client import Client
from tests.support.processes import GatewayProcess
from tests.support.redis import RedisServer
from tests.support.soak.world import SoakWorld

DATABASE_SECONDS = 60.0
"""The longest time in seconds that a database may take to come back."""


class SoakFaults:
    """Every fault that may happen to the world, by name. `random` decides everything that is left open."""

    def __init__(self, world: SoakWorld, random: Random) -> None:
        self._world = world
        self._random = random
        self.kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "gateway-kill": self.gateway_kill,
            "gateway-drain": self.gateway_drain,
            "gateway-sleep": self.gateway_sleep,
            "database-kill": self.database_kill,
            "database-stop": self.database_stop,
            "disk-full": self.disk_full,
            "failing-commands": self.failing_commands,
            "network-messages": self.network_messages,
            "network-cut": self.network_cut,
            "network-silence": self.network_silence,
            "network-half-open": self.network_half_open,
            "network-delay": self.network_delay,
            "network-slicing": self.network_slicing,
            "takeovers": self.takeovers,
            "publishers-dropped": self.publishers_dropped,
            "subscribers-dropped": self.subscribers_dropped,
            "subscribers-asleep": self.subscribers_asleep,
            "storm": self.storm,
        }
        if world.redis is not None:
            self.kinds |= {
                "redis-kill": self.redis_kill,
                "redis-stop": self.redis_stop,
                "redis-empty": self.redis_empty,
                "redis-cut": self.redis_cut,
                "redis-half-open": self.redis_half_open,
            }

    async def _wait(self, low: float, high: float) -> None:
        await asyncio.sleep(self._random.uniform(low, high))

    # Gateways

    def _one(self) -> tuple[GatewayProcess, int]:
        """Return a gateway, and the port of its successor: the same one, or any."""
        gateway = self._random.choice(self._world.gateways)
        return gateway, self._random.choice([0, int(gateway.url.rpartition(":")[2])])

    async def gateway_kill(self) -> None:
        """kill -9, and a new gateway in its place."""
        dead, port = self._one()
        await kill(dead)
        self._world.avoid(dead)
        await self._world.succeed(port)
        self._world.forget(dead)

    async def gateway_drain(self) -> None:
        """SIGTERM. The successor starts before it, or afterwards on the same port."""
        old, port = self._one()
        if not port:
            await self._world.succeed()
            self._world.avoid(old)
        began = now()
        status = await asyncio.to_thread(old.terminate)
        assert status == 0, old.output
        assert now() - began < 10.0, f"the exit took {now() - began:.1f} s"
        if port:
            self._world.avoid(old)
            await self._world.succeed(port)
        self._world.forget(old)

    async def gateway_sleep(self) -> None:
        """The gateway is stopped, and all clients continue with another one. It wakes with its unfinished work, and is
        then told to end."""
        old, _ = self._one()
        async with paused(old.pid):
            await self._world.succeed()
            self._world.avoid(old)
            self._drop(self._world.clients)
            await self._wait(0.5, 2.0)
        await self._wait(0.2, 1.0)
        status = await asyncio.to_thread(old.terminate)
        assert status == 0, old.output
        self._world.forget(old)

    # The database

    async def database_kill(self) -> None:
        await self._database_again(lambda: os.kill(pid_of(self._world.database), signal.SIGKILL))

    async def _database_again(self, end: Callable[[], None]) -> None:
        restarts = self._world.database.restarts
        end()
        await eventually(
            lambda: self._world.database.restarts > restarts, "the database again", timeout=DATABASE_SECONDS
        )

    async def database_stop(self) -> None:
        async with paused(pid_of(self._world.database)):
            await self._wait(0.5, 3.0)

    async def disk_full(self) -> None:
        """Make every file write fail. The database may die of that, and comes back when writes work again."""
        database = self._world.database
        disk, pid = NoMoreWrites(database), database.pid
        disk.fill()
        await self._wait(0.5, 2.0)
        if database.pid == pid:
            disk.free()
        await eventually(lambda: database.pid is not None, "the database again", timeout=DATABASE_SECONDS)

    async def failing_commands(self) -> None:
        how, command = self._random.choice(FAILURES), self._random.choice(sorted(WRITES))
        async with failing(self._world.database.uri, command, times=self._random.randint(1, 6), **how):
            await self._wait(0.5, 2.0)

    # The network to the database

    async def network_messages(self) -> None:
        fault = self._random.choice(list(Fault))
        self._world.proxy.plan = every(self._random.randint(2, 6), WRITES, fault)
        await self._wait(1.0, 2.0)
        self._world.proxy.plan = lambda command: None

    async def network_cut(self) -> None:
        for _ in range(self._random.randint(1, 5)):
            self._world.proxy.cut()
            await self._wait(0.0, 0.3)

    async def network_silence(self) -> None:
        self._world.proxy.silence()
        await self._wait(0.5, 4.0)  # the driver's patience ends after 3 s
        self._world.proxy.silence(False)

    async def network_half_open(self) -> None:
        self._world.proxy.half_open()

    async def network_delay(self) -> None:
        self._world.proxy.delay = 0.2
        await self._wait(1.0, 2.0)
        self._world.proxy.delay = 0.0

    async def network_slicing(self) -> None:
        self._world.proxy.slicing = True
        await self._wait(1.0, 2.0)
        self._world.proxy.slicing = False

    # Redis, and the network to it

    @property
    def _redis(self) -> RedisServer:
        assert self._world.redis is not None
        return self._world.redis

    async def redis_kill(self) -> None:
        self._redis.kill()
        await self._wait(0.5, 3.0)
        await asyncio.to_thread(self._redis.start)

    async def redis_stop(self) -> None:
        self._redis.freeze()
        await self._wait(0.5, 3.0)
        self._redis.thaw()

    async def redis_empty(self) -> None:
        """The data of Redis is gone, and its clients are thrown out."""
        for words in (["FLUSHALL"], ["CLIENT", "KILL", "TYPE", "pubsub"], ["CLIENT", "KILL", "TYPE", "normal"]):
            self._redis.command(*words)
            await self._wait(0.0, 0.3)

    async def redis_cut(self) -> None:
        for _ in range(self._random.randint(1, 5)):
            self._world.to_redis.cut()
            await self._wait(0.0, 0.3)

    async def redis_half_open(self) -> None:
        """The connections look alive, but carry nothing."""
        self._world.to_redis.half_open()
        self._world.to_redis.silence()
        await self._wait(0.5, 3.0)
        self._world.to_redis.silence(False)

    # Clients

    async def takeovers(self) -> None:
        """Let two publishers take the session from each other, in some sessions."""
        living = self._world.living
        thieves = [each.take_over() for each in self._random.sample(living, min(len(living), 4))]
        await self._wait(0.5, 2.0)
        for thief in thieves:
            thief.finish()

    def _drop(self, clients: list[Client], share: float = 1.0) -> None:
        for client in clients:
            if self._random.random() < share:
                client.drop()

    async def publishers_dropped(self) -> None:
        self._drop([client for each in self._world.sessions for client in each.publishers], 0.5)

    async def subscribers_dropped(self) -> None:
        self._drop([client for each in self._world.sessions for client in each.subscribers], 0.5)

    async def subscribers_asleep(self) -> None:
        """Let half of the subscribers not read for a while."""
        subscribers = [client for each in self._world.sessions for client in each.subscribers]
        asleep = self._random.sample(subscribers, len(subscribers) // 2)
        for subscriber in asleep:
            subscriber.reading.clear()
        await self._wait(2.0, 4.0)
        for subscriber in asleep:
            subscriber.reading.set()

    async def storm(self) -> None:
        """Break all connections at once, several times."""
        for _ in range(self._random.randint(1, 3)):
            self._drop(self._world.clients)
            await self._wait(0.0, 0.5)

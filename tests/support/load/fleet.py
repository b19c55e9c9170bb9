"""A fleet of publishers, each with its own session and its subscribers. At the end their histories are judged."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Self

import aiohttp

from tests.support.checker import assert_clean
from tests.support.history import Entry, History, entry_of
from tests.support.load.client import Target
from tests.support.load.figures import percentile
from tests.support.load.publishers import LoadPublisher
from tests.support.load.subscriber import LoadSubscriber
from tests.support.load.supervisor import TTL_SECONDS, Supervisor
from turnwire.protocol.bodies import CreateSession
from turnwire.protocol.codec import JSON

_COMMANDED = 3
"""Sessions whose bots are given commands."""


class Fleet:
    """`async with` creates the sessions and starts all clients; `settle` ends and judges the run."""

    def __init__(
        self,
        target: Target,
        seed: int,
        *,
        publishers: int,
        subscribers_each: int,
        rate: float,
        prefix: str = "run",
        commands: bool = True,
    ) -> None:
        """`commands`: whether supervisors send commands to the first publishers."""
        self.target = target
        self.seed = seed
        self.random = Random(seed)
        self.histories = [History(f"{prefix}-{seed}-{number}") for number in range(publishers)]
        self._rate = rate
        self._subscribers_each = subscribers_each
        self._commanded = _COMMANDED if commands else 0
        self._supervisors: list[Supervisor] = []
        self._supervising: list[asyncio.Task[None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.publishers: list[LoadPublisher] = []
        self.subscribers: list[LoadSubscriber] = []

    async def __aenter__(self) -> Self:
        self.http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None, sock_connect=5.0)
        )
        try:
            for start in range(0, len(self.histories), 50):
                await asyncio.gather(*(self._create(each.session_id) for each in self.histories[start : start + 50]))
            for history in self.histories:
                self._add_clients(history)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (*self._supervising, *self._tasks):
            task.cancel()
        await asyncio.gather(*self._supervising, *self._tasks, return_exceptions=True)
        await self.http.close()

    async def _create(self, session_id: str) -> None:
        body = JSON.encode(CreateSession("en", session_id))
        headers = {"Content-Type": "application/json"}
        async with self.http.post(f"{self.target.url}/sessions", data=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()

    async def create_unnamed(self) -> str:
        """Create a session whose sessionId the gateway chooses. Return the id."""
        async with self.http.post(f"{self.target.url}/sessions", json={"language": "en"}) as answer:
            assert answer.status == 200, await answer.text()
            session_id: str = (await answer.json())["sessionId"]
            return session_id

    def _add_clients(self, history: History) -> None:
        commanded = len(self._supervisors) < self._commanded
        name = f"p-{history.session_id}"
        publisher = LoadPublisher(
            self.http, self.target, name, self.fork(), history=history, rate=self._rate, obeys=commanded
        )
        self.publishers.append(publisher)
        self._tasks.append(asyncio.create_task(publisher.run()))
        if commanded:
            supervisor = Supervisor(self.http, self.target, history, self.fork())
            self._supervisors.append(supervisor)
            self._supervising.append(asyncio.create_task(supervisor.run()))
        for number in range(self._subscribers_each):
            name = f"s{number}-{history.session_id}"
            subscriber = LoadSubscriber(self.http, self.target, name, self.fork(), history=history)
            history.must_have_all.add(name)
            self.subscribers.append(subscriber)
            self._tasks.append(asyncio.create_task(subscriber.run()))

    def add(self, history: History, publisher: LoadPublisher) -> None:
        """Add one more session, with this publisher."""
        self.histories.append(history)
        self.join(publisher)

    def join(self, publisher: LoadPublisher) -> None:
        """Add one more publisher to an existing session."""
        self.publishers.append(publisher)
        self._tasks.append(asyncio.create_task(publisher.run()))

    def fork(self) -> Random:
        return Random(self.random.random())

    async def all_opened(self, since: float, timeout: float = 20.0) -> None:
        """Wait until every publisher has connected after this moment of the loop's clock."""
        for publisher in self.publishers:
            await publisher.until(
                lambda publisher=publisher: publisher.opened_at and publisher.opened_at[-1] >= since,
                timeout,
                "connected again",
            )

    async def all_acked(self, since: float, timeout: float = 20.0) -> None:
        """Wait until every publisher has had an ack after this moment of the loop's clock."""
        for publisher in self.publishers:
            await publisher.until(
                lambda publisher=publisher: publisher.acked and publisher.acked[-1][0] >= since,
                timeout,
                "an ack",
            )

    async def settle(self, timeout: float = 30.0) -> None:
        """Let all publishers finish and all subscribers catch up, and then judge. Raises TimeoutError for a client that
        does not complete this, and AssertionError for a broken promise."""
        for supervisor in self._supervisors:
            supervisor.finish()
        async with asyncio.timeout(timeout + TTL_SECONDS[1]):
            await asyncio.gather(*self._supervising)
        for publisher in self.publishers:
            publisher.finish()
        for publisher in self.publishers:
            await publisher.until(lambda publisher=publisher: not publisher.waiting, timeout, "all answered")
        for history in self.histories:
            history.log = await self.read_log(history.session_id)
        heads = {history.session_id: len(history.log) for history in self.histories}
        for subscriber in self.subscribers:
            await subscriber.reach(heads[subscriber.history.session_id], timeout)
        for subscriber in self.subscribers:
            await subscriber.stop()
        for task in self._tasks:
            await task
        assert_clean(self.histories)

    async def read_log(self, session_id: str) -> list[Entry]:
        """Return the whole log, read by REST."""
        url = f"{self.target.url}/sessions/{session_id}/events"
        async with self.http.get(url, headers={"Accept": "application/x-ndjson"}) as answer:
            assert answer.status == 200, await answer.text()
            lines = (await answer.read()).splitlines()
        return [entry_of(JSON.decode_event(line)) for line in lines]

    async def status_of(self, session_id: str) -> str:
        async with self.http.get(f"{self.target.url}/sessions/{session_id}?limit=1") as answer:
            assert answer.status == 200, await answer.text()
            status: str = (await answer.json())["status"]
            return status

    async def metric(self, name: str) -> float:
        """Return the value of a metric without labels."""
        async with self.http.get(f"{self.target.url}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    # Figures

    def acks(self, since: float, until: float) -> int:
        """Return how many acks came between these moments of the loop's clock."""
        return sum(since <= came < until for publisher in self.publishers for came, _ in publisher.acked)

    def first_ack(self, since: float) -> float:
        """Return the seconds from this moment to the first ack after it."""
        return min(came for publisher in self.publishers for came, _ in publisher.acked if came >= since) - since

    def latencies(self, since: float = 0.0, until: float = float("inf")) -> list[float]:
        """Return the seconds from the making of each event to its ack, for the acks between these moments."""
        return [took for publisher in self.publishers for came, took in publisher.acked if since <= came < until]

    def figures(self) -> dict[str, object]:
        """Return the results of the run."""
        stored = sum(len(history.log) for history in self.histories)
        delivered = sum(len(each.received) for history in self.histories for each in history.followings)
        answers = (answer for history in self.histories for each in history.publishings for answer in each.answers)
        acks = sum(answer.seq is not None for answer in answers)
        latencies = self.latencies()
        return {
            "stored": stored,
            "acks": acks,
            "delivered": delivered,
            "commands": sum(len(history.asked) for history in self.histories),
            "carried_out": sum(len(history.begun) for history in self.histories),
            "claims": sum(len(history.publishings) for history in self.histories),
            "p50_ms": round(percentile(latencies, 0.5) * 1000, 1),
            "p99_ms": round(percentile(latencies, 0.99) * 1000, 1),
        }


def report(run: str, seed: int, **figures: object) -> None:
    """Print what a run has measured, and how to repeat it."""
    shown = " ".join(
        f"{name}={value:.2f}" if isinstance(value, float) else f"{name}={value}" for name, value in figures.items()
    )
    print(f"FAULTS {run} seed={seed}: {shown}", flush=True)

"""Sessions that come and go: each lives under load for a while, is completed and judged, and leaves only its digest."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from random import Random

import aiohttp
import msgspec
from msgspec import Struct, field

from tests.support.checker import check
from tests.support.history import Entry, History, save
from tests.support.load.client import Target
from tests.support.load.publishers import LoadPublisher
from tests.support.load.subscriber import LoadSubscriber
from tests.support.load.supervisor import Supervisor
from tests.support.soak.clients import RestCaller, RestClient
from turnwire.protocol.messages import Session

SETTLE_SECONDS = 180.0
"""Seconds after which a missing answer or event counts as lost. Faults go on meanwhile."""


class Finished(Struct, gc=False):
    """What remains of a session that has been judged."""

    session_id: str
    events: int
    digest: bytes


class Tally(Struct):
    """The results of the sessions so far."""

    sessions: int = 0
    stored: int = 0
    acks: int = 0
    duplicates: int = 0
    """Acks that say that the event was stored before."""
    delivered: int = 0
    commands: int = 0
    carried_out: int = 0
    claims: int = 0
    subscriptions: int = 0
    latencies: Counter[int] = field(default_factory=Counter)
    """Latencies of acks, from the making of the event, in milliseconds."""
    finished: list[Finished] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def percentile(self, share: float) -> int:
        """Return the milliseconds below which this share of the latencies lies."""
        left = share * self.latencies.total()
        for milliseconds, times in sorted(self.latencies.items()):
            left -= times
            if left <= 0:
                return milliseconds
        return 0

    def add(self, history: History, publishers: Iterable[LoadPublisher], directory: Path) -> None:
        """Judge the session. The history of one that breaks a promise is kept in the directory."""
        answers = [answer for publishing in history.publishings for answer in publishing.answers]
        self.sessions += 1
        self.stored += len(history.log)
        self.acks += sum(answer.seq is not None for answer in answers)
        self.duplicates += sum(answer.duplicate for answer in answers)
        self.delivered += sum(len(following.received) for following in history.followings)
        self.commands += len(history.asked)
        self.carried_out += len(history.begun)
        self.claims += len(history.publishings)
        self.subscriptions += len(history.followings)
        for publisher in publishers:
            self.latencies.update(int(took * 1000) for _, took in publisher.acked)
        self.finished.append(Finished(history.session_id, len(history.log), digest_of(history.log)))
        violations = [str(violation) for violation in check([history])]
        self.violations += violations
        if violations:
            kept = directory / f"{history.session_id}.history"
            save([history], kept)
            print(
                *violations[:10], f"{len(violations)} violations, the history is kept in {kept}", sep="\n", flush=True
            )


def digest_of(log: list[Entry]) -> bytes:
    return blake2b(msgspec.msgpack.encode(log), digest_size=16).digest()


class SoakSession:
    """One session with its publisher, its subscribers, a REST caller, and publishers that take it over."""

    def __init__(self, http: aiohttp.ClientSession, target: Target, session_id: str, random: Random, rate: float):
        self.history = History(session_id)
        self.live = True
        """Whether the session still makes events."""
        self._http = http
        self._target = target
        self._random = random
        self._rest = RestClient(http, target)
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.publishers: list[LoadPublisher] = []
        self.owner = self._publisher("p", rate)
        self.subscribers = [self._subscriber(f"s{number}") for number in range(2)]
        caller = RestCaller(self._rest, self.history, self._fork())
        self._caller = asyncio.create_task(caller.run(self._over))
        self._supervisor = Supervisor(http, target, self.history, self._fork())
        self._supervising = asyncio.create_task(self._supervisor.run())

    def _fork(self) -> Random:
        return Random(self._random.random())

    def _publisher(self, name: str, rate: float) -> LoadPublisher:
        name = f"{name}-{self.history.session_id}"
        publisher = LoadPublisher(
            self._http, self._target, name, self._fork(), history=self.history, rate=rate, obeys=True
        )
        publisher.reclaims = True
        self.publishers.append(publisher)
        self._tasks.append(asyncio.create_task(publisher.run()))
        return publisher

    def _subscriber(self, name: str) -> LoadSubscriber:
        name = f"{name}-{self.history.session_id}"
        subscriber = LoadSubscriber(self._http, self._target, name, self._fork(), history=self.history)
        self.history.must_have_all.add(name)
        self._tasks.append(asyncio.create_task(subscriber.run()))
        return subscriber

    def take_over(self) -> LoadPublisher:
        """Let another publisher claim the session; the owner claims it back, and so on until this one must finish."""
        return self._publisher(f"t{len(self.publishers)}", 20.0)

    async def end(self, tally: Tally, directory: Path) -> None:
        """Let all clients finish, complete the session, and judge it. Raises TimeoutError for a client that does not
        complete this, and AssertionError for a wrong answer."""
        self.live = False
        self._over.set()
        self._supervisor.finish()
        async with asyncio.timeout(SETTLE_SECONDS):
            await self._supervising
        for publisher in self.publishers:
            publisher.finish()
        for publisher in self.publishers:
            await publisher.until(lambda publisher=publisher: not publisher.waiting, SETTLE_SECONDS, "all answered")
        async with asyncio.timeout(SETTLE_SECONDS):
            await self._caller
            ended = await self._rest.complete(self.history.session_id)
            self.history.log = await self._rest.read_log(self.history.session_id)
            again = await self._rest.complete(self.history.session_id)
        self._judge_end(ended, again)
        for subscriber in self.subscribers:
            await subscriber.reach(len(self.history.log), SETTLE_SECONDS)
            await subscriber.stop()
        await asyncio.gather(*self._tasks)
        await asyncio.to_thread(tally.add, self.history, self.publishers, directory)

    def _judge_end(self, ended: Session, again: Session) -> None:
        assert ended.status == again.status == "completed", f"{ended} and {again}"
        assert ended.ended_at == again.ended_at, f"the end has moved: {ended} and {again}"
        assert len(self.history.log) == again.last_seq, f"{len(self.history.log)} events, {again}"

    def cancel(self) -> None:
        for task in (self._caller, self._supervising, *self._tasks):
            task.cancel()


async def reread(rest: RestClient, finished: Iterable[Finished]) -> list[str]:
    """Return what has changed in the logs of sessions since they were judged."""
    wrong = []
    for each in finished:
        log = await rest.read_log(each.session_id)
        if digest_of(log) != each.digest:
            wrong.append(f"session {each.session_id!r} had {each.events} events, has {len(log)}, and they differ")
    return wrong

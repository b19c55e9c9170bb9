"""A drain gives clients and the database time, but waits for nobody who does not answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.in_memory import MemoryGateway, event, until
from turnwire.gateway.connections.open_connections import OpenConnections
from turnwire.gateway.running import drain
from turnwire.gateway.sessions.log_tails import LogTails

_SECONDS = 8.0


class Mute:
    """A client that takes no part in the closing handshake."""

    waiting_bytes = 0
    look_at = 0.0

    def __init__(self, kind: str = "subscriber", *, owed: bool = False) -> None:
        self.kind, self.is_owed = kind, owed
        self.closing: asyncio.Future[None] | None = None
        self.aborted = False

    def check_alive(self, now: float) -> None: ...
    def judge_again(self) -> None: ...
    def goaway(self, reason: str, after: float) -> None: ...

    def close(self, code: int, reason: str) -> None:
        self.closing = asyncio.get_running_loop().create_future()

    def abort(self) -> None:
        self.aborted = True


async def drained(gateway: MemoryGateway, *connections: Any) -> float:
    """Drain the gateway. Return how many seconds that took."""
    open_ones = OpenConnections()
    for connection in connections:
        open_ones.came(connection)
    loop, tails = asyncio.get_running_loop(), LogTails(gateway.store, gateway.sessions)
    began, back = loop.time(), drain.Return(0.0, 0.0)
    await drain.drain(open_ones, gateway.sessions, gateway.parts.lazy_fields, tails, seconds=_SECONDS, back=back)
    return loop.time() - began


def is_at_work(gateway: MemoryGateway) -> bool:
    return any(live.state.busy_since is not None for live in gateway.sessions.live.values())


def never_answer(monkeypatch: pytest.MonkeyPatch, where: object, *methods: str) -> None:
    async def wait(*_: object, **__: object) -> None:
        await asyncio.get_running_loop().create_future()

    for method in methods:
        monkeypatch.setattr(where, method, wait)


async def test_a_client_that_does_not_answer_is_cut_off_before_the_time_is_over(here: MemoryGateway) -> None:
    mute = Mute()
    assert await drained(here, mute) <= 2.5
    assert mute.aborted


async def test_a_publisher_whose_events_are_all_answered_does_not_wait_for_those_of_others(
    here: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, idle, busy, board = await here.create(), Mute("publisher"), Mute("publisher", owed=True), Mute()
    never_answer(monkeypatch, here.store.events, "append")
    appending = asyncio.create_task(here.append(live, event("e1")))
    await until(lambda: is_at_work(here))
    draining = asyncio.create_task(drained(here, idle, busy, board))
    await until(lambda: idle.closing is not None)
    assert busy.closing is None
    assert board.closing is None
    busy.is_owed = False
    await until(lambda: busy.closing is not None)
    assert board.closing is None
    await draining
    assert board.closing is not None
    appending.cancel()


async def test_only_events_wait_for_a_silent_database(here: MemoryGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    live = await here.create("s", event("e1"))
    assert len(here.parts.lazy_fields) == 1
    with monkeypatch.context() as silent:
        never_answer(silent, here.store.sessions, "save_lazy_fields")
        assert await drained(here) <= 1.0 + 1.5
        never_answer(silent, here.store.events, "append")
        appending = asyncio.create_task(here.append(live, event("e2")))
        await until(lambda: is_at_work(here))
        assert 4.0 < await drained(here) < _SECONDS
        appending.cancel()


async def test_a_slow_database_is_waited_for_while_it_writes(
    here: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(350):  # four bulks
        here.parts.lazy_fields.mark((await here.create(f"s{number}")).state)

    async def save_slowly(_records: Any) -> Any:
        await asyncio.sleep(1.2)
        return {}

    monkeypatch.setattr(here.store.sessions, "save_lazy_fields", save_slowly)
    assert 4 * 1.2 < await drained(here) < _SECONDS
    assert not here.parts.lazy_fields


async def test_many_connections_are_told_and_closed_a_few_in_each_pass_of_the_loop(here: MemoryGateway) -> None:
    steps = list[str]()

    class Told(Mute):
        def goaway(self, reason: str, after: float) -> None:
            steps.append("told")

        def close(self, code: int, reason: str) -> None:
            if self.closing is None:
                steps.append("closed")
                super().close(code, reason)

    async def others() -> None:
        while steps.count("closed") < 200:
            steps.append("others")
            await asyncio.sleep(0)

    await asyncio.gather(drained(here, *(Told(kind) for kind in ("publisher", "subscriber") * 100)), others())
    assert steps.count("told") == 200
    assert max(len(run.split()) for run in " ".join(steps).split("others")) <= 26

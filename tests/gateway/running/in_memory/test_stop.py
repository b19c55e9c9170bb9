"""Everything that a process has started ends at its stop, and the log says what does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from turnwire.gateway.config import Config
from turnwire.gateway.running import serve
from turnwire.gateway.running.periodic import Periodic


async def stopped(*started: tuple[str, Callable[[], object]]) -> float:
    """Stop a process that has started this. Return how many seconds that took."""
    process = serve._Process(Config(mongodb_uri="mongodb://model"), lambda: None)
    for name, end in started:
        process._started.add(name, end)
    began = asyncio.get_running_loop().time()
    await process.stop()
    return asyncio.get_running_loop().time() - began


async def test_what_fails_to_end_keeps_nothing_else_from_ending(caplog: pytest.LogCaptureFixture) -> None:
    ended = list[str]()

    async def first() -> None:
        ended.append("first")

    async def fails() -> None:
        raise TimeoutError

    assert await stopped(("first", first), ("second", fails), ("third", lambda: ended.append("third"))) == 0
    assert ended == ["third", "first"]
    assert [record.getMessage() for record in caplog.records] == ["the end of second failed"]


async def test_what_never_ends_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def hangs() -> None:
        await asyncio.get_running_loop().create_future()

    assert await stopped(("open requests", lambda: None), ("the drain", hangs)) < 10
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == "stopping took too long and was aborted; it waited for the end of the drain"


async def test_a_task_that_loses_a_cancellation_ends_all_the_same() -> None:
    async def loses_one() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()
        await asyncio.get_running_loop().create_future()

    periodic = Periodic()
    periodic.begin(loses_one())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await periodic.stop()

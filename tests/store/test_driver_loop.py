"""The threads of the driver: which one goes next, what waits, and how they end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from turnwire.store.driver.loop import DriverLoop


def _loop(most_threads: int = 4) -> DriverLoop:
    return DriverLoop(asyncio.get_running_loop(), most_threads)  # type: ignore[abstract]  # Motor needs no more


def _held(gate: threading.Event) -> Callable[[], threading.Thread]:
    """An operation that waits for the gate, and returns the thread that it ran in."""

    def operation() -> threading.Thread:
        gate.wait()
        return threading.current_thread()

    return operation


async def test_operations_one_after_the_other_use_one_thread_and_concurrent_ones_one_each() -> None:
    loop, gate = _loop(), threading.Event()
    together = [loop.run_in_executor(None, _held(gate)) for _ in range(3)]
    gate.set()
    assert len(set(await asyncio.gather(*together))) == 3
    assert len({await loop.run_in_executor(None, threading.current_thread) for _ in range(10)}) == 1
    loop.release()


async def test_no_more_threads_are_started_than_allowed_and_waiting_operations_run_in_order() -> None:
    loop, gate = _loop(most_threads=1), threading.Event()
    ran: list[int] = []
    first = loop.run_in_executor(None, _held(gate))
    others: list[asyncio.Future[None]] = [loop.run_in_executor(None, ran.append, number) for number in range(4)]
    others[1].cancel()
    gate.set()
    await asyncio.gather(first, *others, return_exceptions=True)
    assert ran == [0, 2, 3]
    loop.release()


async def test_an_error_reaches_the_caller_and_the_thread_continues() -> None:
    loop = _loop(most_threads=1)
    with pytest.raises(ZeroDivisionError):
        await loop.run_in_executor(None, divmod, 1, 0)
    assert await loop.run_in_executor(None, divmod, 7, 2) == (3, 1)
    loop.release()


async def test_an_operation_cancelled_while_it_runs_disturbs_no_other() -> None:
    loop, gate = _loop(most_threads=1), threading.Event()
    cancelled = loop.run_in_executor(None, _held(gate))
    cancelled.cancel()
    gate.set()
    thread = await loop.run_in_executor(None, threading.current_thread)
    loop.release()
    await asyncio.to_thread(thread.join)


async def test_released_threads_end_after_their_operation_and_what_comes_later_is_still_run() -> None:
    loop, gate = _loop(most_threads=1), threading.Event()
    running = loop.run_in_executor(None, _held(gate))
    loop.release()
    later = loop.run_in_executor(None, threading.current_thread)
    gate.set()
    threads = {await running, await later, await loop.run_in_executor(None, threading.current_thread)}
    for thread in threads:
        await asyncio.to_thread(thread.join)


def test_a_thread_that_finds_its_loop_closed_ends() -> None:
    gate = threading.Event()
    before = set(threading.enumerate())

    async def leave_one_behind() -> None:
        _loop().run_in_executor(None, _held(gate))

    asyncio.run(leave_one_behind())
    [thread] = set(threading.enumerate()) - before
    gate.set()
    thread.join()


async def test_what_finds_no_thread_that_could_be_started_waits_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, gate = _loop(most_threads=2), threading.Event()
    with monkeypatch.context() as exhausted:
        exhausted.setattr(threading.Thread, "start", _refuse)
        with pytest.raises(RuntimeError):
            loop.run_in_executor(None, threading.current_thread)
    first = loop.run_in_executor(None, _held(gate))
    with monkeypatch.context() as exhausted:
        exhausted.setattr(threading.Thread, "start", _refuse)
        second = loop.run_in_executor(None, threading.current_thread)
    gate.set()
    assert await second is await first
    gate = threading.Event()
    both = [loop.run_in_executor(None, _held(gate)) for _ in range(2)]
    gate.set()
    assert len(set(await asyncio.gather(*both))) == 2, "the one that failed took no room"
    loop.release()


def _refuse(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")

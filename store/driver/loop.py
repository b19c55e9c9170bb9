"""The event loop as Motor sees it, with separate threads for the driver's operations."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, TypeVar, TypeVarTuple

MOST_THREADS: Final = 5 * (os.cpu_count() or 1)
"""The number that Motor starts by default."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_Job = tuple[asyncio.Future[Any], Callable[[], Any]]
_Jobs = SimpleQueue[_Job | None]


class DriverLoop(asyncio.AbstractEventLoop):
    """The running loop, except that `run_in_executor` uses threads of this object. Owned by that loop.

    Motor's own threads take turns, so each is cold when it is woken, and a result passes through a second future and
    its lock. Here, the thread that was busy last gets the next operation, so an operation that comes alone takes a
    quarter less CPU. Motor calls no methods of its loop other than these.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, most_threads: int = MOST_THREADS) -> None:
        self._loop = loop
        self._most = most_threads
        self._room = most_threads
        """How many threads may still be started."""
        self._idle: list[_Jobs] = []
        self._waiting: deque[_Job] = deque()
        """Operations that have no thread yet."""
        self._closed = False

    def create_future(self) -> asyncio.Future[Any]:
        return self._loop.create_future()

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        return self._loop.call_soon(callback, *args, context=context)

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        return self._loop.call_soon_threadsafe(callback, *args, context=context)

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Run `func` in one of the threads, whatever the executor. Call this in the loop's thread.

        An operation that is cancelled before it has a thread does not run. One that is cancelled later runs, but its
        result is dropped. Raises RuntimeError if there is no thread and the system lets none be started.
        """
        done: asyncio.Future[T] = self._loop.create_future()
        job = (done, partial(func, *args))
        if self._idle:
            self._idle.pop().put(job)
        elif not (self._room > 0 and self._start(job)):
            self._waiting.append(job)
        return done

    def _start(self, job: _Job) -> bool:
        """Start a thread for the operation. Return False if the system allows no more than there are."""
        jobs: _Jobs = SimpleQueue()
        jobs.put(job)
        thread = threading.Thread(target=_work, args=(jobs, self._loop, self._finished), name="driver", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if self._room == self._most:
                raise
            return False
        self._room -= 1
        return True

    def _finished(self, jobs: _Jobs, done: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        """Give the thread its next operation, and report the result of the last one."""
        self._idle.append(jobs)
        while self._waiting and self._idle:
            job = self._waiting.popleft()
            if not job[0].done():
                self._idle.pop().put(job)
        if self._closed:
            self._dismiss()
        if done.done():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def release(self) -> None:
        """End the threads; busy ones end after their operation. A process that ends does not wait for them."""
        self._closed = True
        self._dismiss()

    def _dismiss(self) -> None:
        while self._idle:
            self._idle.pop().put(None)
            self._room += 1


def _work(jobs: _Jobs, loop: asyncio.AbstractEventLoop, finished: Callable[..., None]) -> None:
    """Run operations until None comes, or the loop is closed."""
    while (job := jobs.get()) is not None:
        done, operation = job
        result, error = None, None
        try:
            result = operation()
        except BaseException as raised:
            error = raised
        try:
            loop.call_soon_threadsafe(finished, jobs, done, result, error)
        except RuntimeError:  # the loop is closed
            return
        del job, done, operation, result, error  # the error and this frame refer to each other

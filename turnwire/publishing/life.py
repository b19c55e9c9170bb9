"""The start and end of a publisher: its loop runs in a task, and ends within a known time."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import TypeVarTuple

import aiohttp

from turnwire.connecting.link import CLOSE_TIMEOUT, http_session
from turnwire.errors import ClientError, PublisherClosed, Unreachable, fresh
from turnwire.protocol.codec import Codec
from turnwire.publishing.call import Call
from turnwire.publishing.delivery import Delivery
from turnwire.publishing.loop import PublisherLoop
from turnwire.publishing.uninterrupted import uninterrupted

log = logging.getLogger("turnwire")

Ts = TypeVarTuple("Ts")


class PublisherLife:
    """The task of a publisher's loop: starting it, waiting for what it does, and ending it. Owned by its Publisher."""

    def __init__(self, call: Call, delivery: Delivery, codec: Codec, http: aiohttp.ClientSession | None) -> None:
        self.failure: ClientError | None = None
        """Why the publisher accepts nothing more; None while it works."""
        self._call = call
        self._delivery = delivery
        self._codec = codec
        self._http = http
        self._home: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        """The thread of that event loop."""
        self._own_http: aiohttp.ClientSession | None = None
        self._loop: PublisherLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._deadline: float | None = None
        """The time by which leaving must be done, once it has begun."""
        self._told = False
        self._gone = asyncio.Event()

    @property
    def has_started(self) -> bool:
        return self._loop is not None

    def start(self) -> None:
        """Start the loop. Raises PublisherClosed the second time, SpoolError if the spool cannot be used."""
        if self._loop is not None or self.failure is not None:
            raise PublisherClosed("a publisher can be opened only once")
        self._home, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._delivery.outbox.open()
        http = self._http
        if http is None:
            http = self._own_http = http_session()
        self._loop = PublisherLoop(self._call, codec=self._codec, delivery=self._delivery, http=http)
        self._task = self._spawn(self._loop)

    def _spawn(self, loop: PublisherLoop) -> asyncio.Task[None]:
        task = asyncio.create_task(self._run(loop), name=f"publisher of {self._call.session_id}")
        task.add_done_callback(lambda _: self.wake())
        return task

    async def _run(self, loop: PublisherLoop) -> None:
        try:
            await loop.run()
        except ClientError as error:
            self._stop(error)
        except Exception as error:
            log.exception("the publisher of %r failed", self._call.session_id)
            self._stop(ClientError(f"the publisher failed: {type(error).__name__}: {error}"))
        else:
            self.fail(PublisherClosed("the session has been completed"))

    def _stop(self, error: ClientError) -> None:
        """Stop after an error, and log it unless everything was done: `post` and `hint` never raise it."""
        delivery = self._delivery
        if delivery.ending is None or not delivery.ended or len(delivery.outbox):
            log.warning("the publisher of %r has stopped: %s", self._call.session_id, error)
        self.fail(error)

    def fail(self, error: ClientError) -> None:
        """Set the failure, unless one is set already, and wake all waiting calls."""
        if self.failure is None:
            self.failure = error
        self.wake()

    def check(self) -> None:
        """Raise the failure, if any, as a fresh copy."""
        self._started()
        if self.failure is not None:
            raise fresh(self.failure)

    def wake(self) -> None:
        """After any change, make the loop look for something to send, and waiting calls check their condition."""
        if self._loop is not None and not self._is_over:
            self._loop.work.set()
            self._loop.changed.set()
            self._loop.changed.clear()

    def work(self) -> None:
        """Make the loop look for something to send."""
        if self._loop is not None and not self._is_over:
            self._loop.work.set()

    @property
    def _is_over(self) -> bool:
        """Whether the event loop is closed, so that it wakes nobody any more."""
        return self._home is not None and self._home.is_closed()

    def call(self, do: Callable[[*Ts], None], *values: *Ts) -> bool:
        """Call on the publisher's thread: at once if this is that thread, else soon. Return False if that is
        impossible."""
        if self._home is None or self._thread == threading.get_ident():
            do(*values)
            return True
        try:
            self._home.call_soon_threadsafe(do, *values)
        except RuntimeError:
            return False
        return True

    async def until(self, ready: Callable[[], bool]) -> None:
        """Wait until `ready()` is true. Raises the failure if the publisher stops before."""
        loop, task = self._started()
        while not ready():
            self.check()
            if task.done():
                raise PublisherClosed("the publisher's task has been cancelled")
            await loop.changed.wait()

    async def opened(self) -> None:
        """Wait for the first connection. Raises Unreachable after `connect_timeout`, Refused if the gateway refuses."""
        loop, _ = self._started()
        limit = self._call.connect_timeout
        try:
            async with asyncio.timeout(limit):
                await self.until(lambda: self._delivery.opened is not None)
        except TimeoutError:
            problem = loop.last_problem or f"{self._call.address.origin} does not answer"
            raise Unreachable(f"gave up after {limit:g} s: {problem}") from None

    async def leave(self, drain_timeout: float | None) -> None:
        """Wait until everything is stored, for `drain_timeout` seconds at most, then disconnect. None skips the wait.

        A second caller waits with the first. If the task is cancelled meanwhile, it still does all this first.
        """
        if not self.has_started:
            self.fail(PublisherClosed("the publisher has been closed"))
        elif self._deadline is None:
            seconds = CLOSE_TIMEOUT if drain_timeout is None else drain_timeout
            self._deadline = asyncio.get_running_loop().time() + seconds
            try:
                await uninterrupted(lambda: self._leave(drains=drain_timeout is not None))
            finally:
                self._gone.set()
        else:
            await self._gone.wait()

    async def _leave(self, *, drains: bool) -> None:
        assert self._deadline is not None, "leaving has begun"
        if drains:
            await self._drain(self._deadline)
            if not self._told:
                self._told = True
                self._tell_what_is_left()
        await self._shut(self._deadline)

    async def _drain(self, deadline: float) -> None:
        """Wait until every queued event has its answer, and the requested end, if any, is confirmed.

        If the loop was cancelled along with all other tasks, start it again: leaving needs it.
        """
        loop, _ = self._started()
        try:
            async with asyncio.timeout_at(deadline):
                while self.failure is None and not self._is_settled():
                    if self._task is None or self._task.done():
                        self._task = self._spawn(loop)
                    await loop.changed.wait()
        except TimeoutError:
            return

    def _is_settled(self) -> bool:
        delivery = self._delivery
        answered = len(delivery.outbox) == 0 and (delivery.ending is None or delivery.ended)
        results_told = not (delivery.is_open and delivery.commands is not None and delivery.commands.has_news)
        return answered and results_told and delivery.opened is not None

    def _tell_what_is_left(self) -> None:
        delivery, facts = self._delivery, []
        left = len(delivery.outbox)
        if left:
            kept = delivery.outbox.kept_in
            where = " (only `unanswered()` has them)" if kept is None else f" (kept in {kept})"
            facts.append(f"{left} event{'s' * (left != 1)} without an answer{where}")
        if delivery.dropped:
            facts.append(f"{delivery.dropped} dropped")
        if delivery.ending is not None and not delivery.ended:
            facts.append("the end of the session not confirmed")
        if facts:
            log.warning("the publisher of %r closes with: %s", self._call.session_id, ", ".join(facts))

    async def _shut(self, deadline: float) -> None:
        """Disconnect, politely if there is time before `deadline`, and release everything."""
        self.fail(PublisherClosed("the publisher has been closed"))
        try:
            if self._task is not None:
                self._task.cancel()
                polite = min(CLOSE_TIMEOUT, max(0.0, deadline - asyncio.get_running_loop().time()))
                await asyncio.wait({self._task}, timeout=polite)
                self._task.cancel()  # it still waits for a close frame: stop that
                await asyncio.wait({self._task}, timeout=CLOSE_TIMEOUT)
        finally:
            self._delivery.outbox.release()
            if self._own_http is not None:
                await self._own_http.close()

    def _started(self) -> tuple[PublisherLoop, asyncio.Task[None]]:
        if self._loop is None or self._task is None:
            raise PublisherClosed("the publisher is not open: use `async with`, or `start`")
        return self._loop, self._task

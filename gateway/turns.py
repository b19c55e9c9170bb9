"""Shares of the event loop, for work that can wait, because acks cannot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from typing import Final, TypeVar

from turnwire.store.sharing.fair_queue import FairQueue

T = TypeVar("T")

SLICE_SECONDS: Final = 0.002
"""Seconds after which work that can wait pauses. An ack needs some passes of the loop, and each may be delayed by this
time."""
_GLANCE_SECONDS: Final = 0.0005
"""The same for looks at all sessions or connections, which never stop."""
FRAMES_SECONDS: Final = SLICE_SECONDS
"""Seconds that the frames of all connections take in a pass of the loop. Connections that come later in it wait for a
turn."""
_UNCOUNTED: Final = 0.001
"""Seconds of frames that may be of earlier passes. Counting all of them by the pass would keep a loop with few frames
from sleeping."""
DECODING_SECONDS: Final = 35e-9
"""Seconds to decode and check a byte of JSON full of small values."""
A_FEW: Final = 50
"""The number of sessions or connections that are looked at between two pauses: mostly a tenth of a millisecond."""
MANY: Final = 500
"""The number of sessions of which one value is looked at between two pauses: a tenth of a millisecond."""
LONGEST_PAUSE: Final = 1.0
"""Seconds. Paused work keeps its memory."""
_SLOW_WORK, _CONNECTIONS = "slow work", "connections"
"""Who these are when clients are served equally: all slow work together, and all steps of open connections."""


async def some_in_each_pass(all_of_them: Sequence[T], at_once: int) -> AsyncIterator[T]:
    """Yield these, `at_once` in each pass of the loop. For work that takes part in ending a gateway, and cannot wait
    for its turn."""
    for start in range(0, len(all_of_them), at_once):
        some = all_of_them[start : start + at_once]
        for each in some:
            yield each
        if len(some) == at_once:
            await asyncio.sleep(0)


class Share:
    """A share of the loop's time. All work of one kind shares it, in the order in which it asks."""

    def __init__(self, clock: Callable[[], float], rest: float) -> None:
        """`rest`: seconds that the loop is left to others for each second of such work."""
        self.clock = clock
        self._rest = rest
        self._free_at = 0.0

    @property
    def is_full(self) -> bool:
        """Whether so much work waits that a pause would be longer than LONGEST_PAUSE."""
        return self._free_at - self.clock() > LONGEST_PAUSE

    def delay(self, spent: float) -> float:
        """Return for how many seconds to leave the loop to others, to make up for work that took this many seconds, and
        for the work that waits already."""
        now = self.clock()
        self._free_at = max(now, self._free_at) + spent * self._rest
        return self._free_at - now

    async def pause(self, spent: float) -> None:
        """Leave the loop to others for as long as `delay` says."""
        await asyncio.sleep(self.delay(spent))


class Turns:
    """Lets work that has used up its turn continue. Shared by all work in a gateway that can wait."""

    def __init__(
        self, clock: Callable[[], float] = time.perf_counter, cpu_clock: Callable[[], float] = time.thread_time
    ) -> None:
        """`clock`: seconds. The loop's clock is unsuitable, because it stands still during a pass. `cpu_clock`: seconds
        for which the loop's thread has had a processor; it takes ten times as long to read."""
        self.clock = clock
        self.cpu_clock = cpu_clock
        self.long = Share(clock, 1.0)
        """For slow work: half of the time, so that threads and sockets get theirs."""
        self.wasted = Share(clock, 4.0)
        """For work that is of no use to anybody, such as reading large messages that cannot be decoded: a fifth of the
        time."""
        self.parsing = Share(clock, 3.0)
        """For parsing much that arrives over HTTP: a quarter of the time."""
        self._looking = Share(clock, 4.0)
        self._waiting: FairQueue[tuple[asyncio.Future[None], float]] = FairQueue()
        self._began_at: float | None = None
        """When the first request or step of this pass of the loop began; None before it."""
        self._handled = 0.0
        """Seconds that frames took in this pass, and `_UNCOUNTED` more at most."""
        self._counts = False
        """Whether the loop is about to call `_count_anew`."""

    def begin(self, client_of: Callable[[T], Hashable], request: T) -> Awaitable[None] | None:
        """Return what a new request must wait for before it begins; None if it may begin at once. `client_of` returns
        whose request it is.

        When hundreds of clients come at the same moment, requests begin until the first of them was SLICE_SECONDS ago.
        Each takes 0.05 to 1 ms until it first waits for something.
        """
        return self.next(client=client_of(request)) if self._is_full() else None

    def enter(self, spent: float) -> Awaitable[None] | None:
        """Return what the next step of a connection must wait for, as `begin` does for a request; None if it must not.
        `spent`: seconds that such a step takes.

        Thousands of calls may connect, or say something, at the same moment.
        """
        return self.next(spent, _CONNECTIONS) if self._is_full() else None

    def _is_full(self) -> bool:
        """Return whether the first request or step of this pass of the loop began more than SLICE_SECONDS ago."""
        now = self.clock()
        if self._began_at is None:
            self._began_at = now
            asyncio.get_running_loop().call_soon(self._begin_anew)
        return now - self._began_at > SLICE_SECONDS

    def is_long(self, size: int) -> bool:
        """Return whether decoding JSON of this size takes so long that it must wait for its turn."""
        return size * DECODING_SECONDS > SLICE_SECONDS / 10

    async def decode(self, size: int, client: Hashable = None) -> None:
        """Wait until JSON of this size may be decoded, if that takes long. `client`: the sender."""
        if self.is_long(size):
            await self.next(size * DECODING_SECONDS, client)

    def look_over(self) -> Slices:
        """Return the slices of a look at all sessions or connections, a few at a time. Such a look is never urgent, so
        all of them together take a fifth of the time."""
        return Slices(self, self._looking, _GLANCE_SECONDS)

    def _begin_anew(self) -> None:
        self._began_at = None

    def handled(self, seconds: float) -> None:
        """Record that a frame of a connection took this long."""
        self._handled += seconds
        if self._handled > _UNCOUNTED and not self._counts:
            self._counts = True
            asyncio.get_running_loop().call_soon(self._count_anew)

    @property
    def is_late(self) -> bool:
        """Whether a connection that has frames now must wait for a turn, because others have had their share of this
        pass of the loop."""
        return self._handled > FRAMES_SECONDS

    @property
    def any_wait(self) -> bool:
        """Whether any work waits for its turn."""
        return len(self._waiting) > 0

    def _count_anew(self) -> None:
        self._handled, self._counts = 0.0, False

    async def next(self, spent: float = SLICE_SECONDS / 4, client: Hashable = None) -> None:
        """Wait for the next turn. `spent`: seconds that the last one took, as an estimate of the next.

        In each pass of the loop, work of about SLICE_SECONDS is let through. Clients are served equally, and so are the
        short and the long work of a client: a short piece does not wait for many long ones.
        """
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.put((turn, spent), (client, spent > SLICE_SECONDS), spent)
        if len(self._waiting) == 1:
            loop.call_soon(self._let_through)
        await turn

    def _let_through(self) -> None:
        left = SLICE_SECONDS
        while self._waiting and left > 0:
            turn, spent = self._waiting.take()
            if not turn.done():
                turn.set_result(None)
                left -= spent
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._let_through)


class Slices:
    """The slices of one piece of slow work."""

    __slots__ = ("_began", "_clock", "_seconds", "_share", "_turns")

    def __init__(self, turns: Turns, share: Share | None = None, seconds: float = SLICE_SECONDS) -> None:
        """`share`: by default, that of slow work. `seconds`: the length of a slice."""
        self._turns = turns
        self._clock = turns.clock
        self._share = share or turns.long
        self._seconds = seconds
        self._began = turns.clock()

    async def pause(self) -> bool:
        """Let others go first if the slice is over. Call this after each small step. Return whether it was over.

        A pass of the loop has few slices, however many pauses are over at the same moment.
        """
        spent = self._clock() - self._began
        if spent <= self._seconds:
            return False
        await self._share.pause(spent)
        await self._turns.next(self._seconds, _SLOW_WORK)
        self._began = self._clock()
        return True

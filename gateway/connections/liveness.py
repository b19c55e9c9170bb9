"""Pings all connections, and closes those that do not answer or hold too much memory."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from turnwire.gateway.connections.open_connections import Follower, OpenConnection, OpenConnections, SendingAnswer
from turnwire.gateway.turns import A_FEW, Turns

_HELD_UP_TICKS = 3
_Reader = OpenConnection | Follower | SendingAnswer


class Liveness:
    """Checks all connections every `tick` seconds."""

    def __init__(
        self, connections: OpenConnections, clock: Callable[[], float], turns: Turns, tick: float, *, most_bytes: int
    ) -> None:
        """`most_bytes`: limit of the bytes that wait for all connections together; 0 means no limit."""
        self._connections = connections
        self._clock = clock
        self._turns = turns
        self._tick = tick
        self._most_bytes = most_bytes
        self._asked_at = 0.0

    async def keep_alive(self) -> None:
        """Check a few connections at a time."""
        if self._was_held_up():
            return
        now, waiting = self._asked_at, 0
        for follower in tuple(self._connections.followers):
            follower.check_alive(now)
            waiting += follower.waiting_bytes
        for answer in tuple(self._connections.answers):
            answer.check_alive(now)
            waiting += answer.waiting_bytes
        slices, left = self._turns.look_over(), list(self._connections.connections)
        while left:
            for connection in left[-A_FEW:]:
                if now >= connection.look_at:
                    connection.check_alive(now)
                waiting += connection.waiting_bytes
            del left[-A_FEW:]  # thousands that have closed meanwhile are not freed together at the end
            if left and await slices.pause():
                if self._was_held_up():
                    return
                now = self._asked_at
        self._connections.bytes_seen = waiting
        if 0 < self._most_bytes < waiting:
            await self._keep_within(waiting - self._most_bytes)

    def _was_held_up(self) -> bool:
        """Return whether the gateway itself was held up. If so, frames that have arrived are read first."""
        now, before = self._clock(), self._asked_at
        self._asked_at = now
        return now - before > _HELD_UP_TICKS * self._tick

    async def _keep_within(self, excess: int) -> None:
        """End the slowest readers, for which so many bytes wait. Looks at a few at a time, because tens of thousands
        may have something to read."""
        slices, held, slowest = self._turns.look_over(), 0, list[tuple[int, int, _Reader]]()
        for number, reader in enumerate(self._readers()):
            size = 0 if _is_closing(reader) else reader.waiting_bytes
            if size:
                held += size
                heappush(slowest, (size, number, reader))
            while slowest and held - slowest[0][0] >= excess:
                held -= heappop(slowest)[0]
            if number % A_FEW == 0:
                await slices.pause()
        while slowest:
            reader = slowest.pop()[2]
            if not _is_closing(reader):
                reader.shed()
            await slices.pause()

    def _readers(self) -> list[_Reader]:
        return [*self._connections.connections, *self._connections.followers, *self._connections.answers]


def _is_closing(reader: _Reader) -> bool:
    """Return whether the reader is a connection that is being closed, whose bytes are about to be freed."""
    return getattr(reader, "closing", None) is not None

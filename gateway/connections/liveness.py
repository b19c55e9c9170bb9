"""Pings all connections, and closes those that do not answer or hold too much memory."""

from __future__ import annotations

from collections.abc import Callable

from turnwire.gateway.connections.open_connections import OpenConnections
from turnwire.protocol.errors import CloseCode

_HELD_UP_TICKS = 3


class Liveness:
    """Checks all connections every `tick` seconds."""

    def __init__(
        self, connections: OpenConnections, clock: Callable[[], float], tick: float, *, most_bytes: int
    ) -> None:
        """`most_bytes`: limit of the bytes that wait for all connections together; 0 means no limit."""
        self._connections = connections
        self._clock = clock
        self._tick = tick
        self._most_bytes = most_bytes
        self._asked_at = 0.0

    async def keep_alive(self) -> None:
        now, before = self._clock(), self._asked_at
        self._asked_at = now
        if now - before > _HELD_UP_TICKS * self._tick:
            return  # the gateway itself was held up: frames that have arrived are read first
        for connection in tuple(self._connections.connections):
            connection.check_alive(now)
        for follower in tuple(self._connections.followers):
            follower.check_alive(now)
        self._keep_within()

    def _keep_within(self) -> None:
        """Close the slowest connections until the bytes that wait for the others are within the limit."""
        waiting = self._connections.outbox_bytes
        if not 0 < self._most_bytes < waiting:
            return
        open_ones = [each for each in self._connections.connections if each.closing is None]
        for connection in sorted(open_ones, key=lambda each: each.outbox.size, reverse=True):
            waiting -= connection.outbox.size
            connection.close(CloseCode.TRY_LATER, "too much data waits for slow readers; reconnect and resume")
            if waiting <= self._most_bytes:
                return

"""Pings, and the end of connections that do not answer them."""

from __future__ import annotations

from collections.abc import Callable

from turnwire.gateway.connections.open_connections import OpenConnections

_HELD_UP_TICKS = 3


class Liveness:
    """Asks all connections every `tick` seconds whether they are alive."""

    def __init__(self, connections: OpenConnections, clock: Callable[[], float], tick: float) -> None:
        self._connections = connections
        self._clock = clock
        self._tick = tick
        self._asked_at = 0.0

    async def keep_alive(self) -> None:
        now, before = self._clock(), self._asked_at
        self._asked_at = now
        if now - before > _HELD_UP_TICKS * self._tick:
            return  # the gateway itself was held up: what has arrived meanwhile is read first
        for connection in tuple(self._connections.connections):
            connection.check_alive(now)
        for follower in tuple(self._connections.followers):
            follower.check_alive(now)

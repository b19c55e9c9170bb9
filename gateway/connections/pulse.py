"""The pings of one connection: when the next one is due, and how long its pong has been missing."""

from __future__ import annotations

from turnwire.gateway.config import Config


class Pulse:
    """The pings and pongs of one connection, which owns this object. Times are on the loop's clock, in seconds."""

    __slots__ = ("_next_ping", "_unread_until_now", "look_at", "pinged_at")

    def __init__(self, now: float, config: Config) -> None:
        self.look_at = 0.0
        """The time of the next work. Nothing needs to be checked earlier."""
        self.pinged_at: float | None = None
        """When the unanswered ping was sent; None if no pong is missing. Any frame counts as a pong."""
        self._next_ping = now + config.ping_interval
        self._unread_until_now = False

    def is_due(self, now: float) -> bool:
        """Return whether to ping now, if no pong is missing."""
        self.look_at = self._next_ping
        return now >= self._next_ping

    def pinged(self, now: float, config: Config) -> None:
        """Record that a ping is on its way."""
        self._next_ping = now + config.ping_interval
        self.pinged_at = now
        self._unread_until_now = False
        self.look_at = 0.0  # until the pong has arrived

    def overdue(self, now: float, config: Config, *, slow: bool, paused: bool) -> float | None:
        """Return the seconds that the missing pong was allowed to take, if it has taken longer.

        `slow`: whether the other side has frames that it has not read. `paused`: whether the gateway does not read.
        """
        assert self.pinged_at is not None, "no pong is missing"
        if paused or (self._unread_until_now and not slow):
            self.pinged_at = now  # the client can read the ping, or the gateway its pong, only from now on
        self._unread_until_now = slow
        allowed = config.slow_pong_timeout if slow else config.pong_timeout
        return allowed if now - self.pinged_at > allowed else None

"""Rate limits. They count by principal, and by address until there is one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NoReturn

from turnwire.gateway.access.buckets import Bucket, Buckets, ClientCounts
from turnwire.gateway.access.principals import Principal
from turnwire.gateway.access.refusals import Refusal, rate_limited
from turnwire.gateway.config import Config
from turnwire.gateway.config.rate import OFF, Rate

_TOO_MANY_LOGINS = "too many credentials were refused; wait"


def rate_headers(name: str, rate: Rate, left: int, wait: float) -> dict[str, str]:
    """Return the headers `RateLimit-Policy` (quota and window) and `RateLimit` (what is left), as in the IETF draft."""
    window = max(1, math.ceil(rate.burst / rate.per_second))
    return {
        "RateLimit-Policy": f'"{name}";q={rate.burst};w={window}',
        "RateLimit": f'"{name}";r={left};t={max(0, math.ceil(wait))}',
    }


def over_rate(name: str, rate: Rate, message: str, wait: float) -> Refusal:
    """Return a 429 with headers that say when to try again: in `wait` seconds."""
    return rate_limited(name, message, wait, rate_headers(name, rate, 0, wait))


class Rates:
    """All rates and counts of the gateway. Owned by the event loop's thread.

    Without authentication, all are off. `clock` is monotonic, in seconds.
    """

    def __init__(self, config: Config, clock: Callable[[], float], *, on: bool) -> None:
        def rate(name: str) -> Rate:
            return config.rate(name) if on else OFF

        self.clock = clock
        self._events, self._signals = rate("events"), rate("signals")
        self._commands, self._control_frames = rate("commands"), rate("control_frames")
        self.requests = Buckets(rate("requests"))
        self.anonymous_requests = Buckets(rate("anonymous_requests"))
        self.failed_logins = Buckets(rate("failed_logins"))
        self.created_sessions = Buckets(rate("created_sessions"))
        self.handshakes = Buckets(rate("handshakes"))
        self.connections = ClientCounts(config.max_connections_per_principal if on else 0)
        """Open connections of each principal: `enter` before the upgrade, `leave` at the end."""
        self.max_live_sessions = config.max_sessions_per_principal if on else 0
        """Limit of live sessions for the principal that created or claimed them; 0 means no limit."""
        self.open_handshakes = ClientCounts(config.max_handshakes_per_address if on else 0)
        """TCP connections of each address on which nobody has been authenticated yet."""

    # One bucket for each connection; None if the rate is off

    def events(self) -> Bucket | None:
        """Make a publisher's bucket: `spend`, and leave the socket unread for the returned time."""
        return self._bucket(self._events)

    def signals(self) -> Bucket | None:
        """Make a publisher's bucket: `take`; over the rate, the newest signal of each key waits."""
        return self._bucket(self._signals)

    def commands(self) -> Bucket | None:
        """Make a connection's bucket for commands and pings: `take`; over the rate, answer `rate_limited`, then close
        with 4429."""
        return self._bucket(self._commands)

    def control_frames(self) -> Bucket | None:
        """Make a connection's bucket for control frames, used as that of `commands`."""
        return self._bucket(self._control_frames)

    def _bucket(self, rate: Rate) -> Bucket | None:
        return None if rate.is_off else Bucket(rate, self.clock())

    # Raising Refusal (429)

    def check(self, name: str, buckets: Buckets, key: str, message: str) -> None:
        """Take one token of the key's bucket. Raises Refusal (429) with headers that say when to try again."""
        now = self.clock()
        wait = buckets.take(key, now)
        if wait > 0:
            raise over_rate(name, buckets.rate, message, wait)

    def check_request(self, principal: Principal) -> None:
        self.check("requests", self.requests, principal.id, "too many requests; slow down")

    def check_anonymous_request(self, address: str) -> None:
        self.check("anonymous_requests", self.anonymous_requests, address, "too many requests without a credential")

    def check_handshake(self, address: str) -> None:
        self.check("handshakes", self.handshakes, address, "too many handshakes without a credential")

    def wait_to_create(self, principal: Principal) -> float:
        """Return the seconds until the principal may create a session; 0 if it may now."""
        bucket = self.created_sessions.find(principal.id)
        return 0.0 if bucket is None else bucket.wait(self.clock())

    def count_created(self, principal: Principal) -> None:
        """Count a session that was created. Existing ones are not counted, so that retries are free."""
        if not self.created_sessions.rate.is_off:
            now = self.clock()
            self.created_sessions.of(principal.id, now).spend(now)

    def refuse_creation(self, wait: float) -> NoReturn:
        """Raise Refusal (429)."""
        raise over_rate("created_sessions", self.created_sessions.rate, "too many new sessions; slow down", wait)

    def failed_login(self, address: str) -> Refusal | None:
        """Count a refused credential. Return the answer to give instead of 401 if there were too many; else None."""
        try:
            self.check("failed_logins", self.failed_logins, address, _TOO_MANY_LOGINS)
        except Refusal as refusal:
            return refusal
        return None

    def check_logins(self, address: str) -> None:
        """Raise Refusal (429) while too many credentials from this address were refused. Counts nothing."""
        buckets, now = self.failed_logins, self.clock()
        if buckets.rate.is_off or (bucket := buckets.find(address)) is None:
            return
        if (wait := bucket.wait(now)) > 0:
            raise over_rate("failed_logins", buckets.rate, _TOO_MANY_LOGINS, wait)

    def enter(self, principal: Principal, counts: ClientCounts, name: str) -> None:
        """Count one more for the principal. Raises Refusal (429) if the limit is reached."""
        if not counts.enter(principal.id):
            raise rate_limited(name, f"this credential has {counts.limit} {name}, which is the limit", 1)

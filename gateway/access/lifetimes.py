"""When a connection's credential expires, and when its client is warned."""

from __future__ import annotations

from typing import Final, Literal

from turnwire.gateway.access.principals import Principal

_NOTICE_SECONDS: Final = 60.0
EXPIRED_REASON: Final = "token expired: get a new one, reconnect, resume"
"""The close reason that goes with TOKEN_EXPIRED."""

Due = Literal["expiring", "expired"]


class Lifetime:
    """The lifetime of one connection's credential. Times are in seconds since 1970."""

    __slots__ = ("_notice_at", "expires_at")

    def __init__(self, principal: Principal, now: float) -> None:
        self.expires_at = principal.expires_at
        self._notice_at: float | None = None
        if self.expires_at is not None:
            half = now + (self.expires_at - now) / 2
            self._notice_at = max(self.expires_at - _NOTICE_SECONDS, half)

    def due(self, now: float) -> Due | None:
        """Return what is due: `expiring` (once) to warn the client, `expired` to close. Call this every second."""
        if self.expires_at is None:
            return None
        if now >= self.expires_at:
            return "expired"
        if self._notice_at is not None and now >= self._notice_at:
            self._notice_at = None
            return "expiring"
        return None

"""What is no longer let in: by token, by subject, by key. Kept for ever, and shared by all gateways."""

from __future__ import annotations

import math
from typing import Any, Protocol

from turnwire.gateway.access.principals import Principal
from turnwire.gateway.access.refusals import unauthenticated
from turnwire.protocol.errors import InvalidMessage, StorageUnavailable
from turnwire.protocol.messages import Shape
from turnwire.protocol.times import parse_time

_MAX_CHARS = 256


class RevocationRequest(Shape):
    """Body of `POST /revocations`: one of the first three; `before`, a wire time, spares what was issued later."""

    jti: str | None = None
    sub: str | None = None
    key: str | None = None
    before: str | None = None


class RevocationLog(Protocol):
    """Where revocations are durable: a log that all gateways append to and read. Methods raise StorageUnavailable."""

    async def append(self, mark: str, before: float | None) -> Any:
        """Durable when this returns."""

    async def read_after(self, position: int) -> list[tuple[str, float | None]]:
        """The entries behind this position, at most some hundred; the first one's position is one higher."""


def mark_of(request: RevocationRequest) -> tuple[str, float | None]:
    """The mark, as principals bear it, and the time before which what bears it was issued. Raises InvalidMessage."""
    given = [(kind, value) for kind in ("jti", "sub", "key") if (value := getattr(request, kind)) is not None]
    if len(given) != 1:
        raise InvalidMessage("give one of jti, sub and key")
    [(kind, value)] = given
    if not 1 <= len(value) <= _MAX_CHARS:
        raise InvalidMessage(f"{kind} must have 1 to {_MAX_CHARS} characters")
    if request.before is None:
        return f"{kind}:{value}", None
    try:
        return f"{kind}:{value}", parse_time(request.before).timestamp()
    except (ValueError, OverflowError):
        raise InvalidMessage("before must be an ISO-8601 time with an offset") from None


class Revocations:
    """All revocations, in memory. Owner: the event loop's thread; `refresh` is to be called every two seconds."""

    def __init__(self, log: RevocationLog) -> None:
        self._log = log
        self._before: dict[str, float] = {}
        self._position = 0
        self.loaded = False
        """Whether all that was revoked before the start is known. Until then nobody is let in by a credential."""

    async def revoke(self, request: RevocationRequest) -> str:
        """Make it durable, then hold to it; the mark. Raises InvalidMessage, StorageUnavailable."""
        mark, before = mark_of(request)
        await self._log.append(mark, before)
        self._note(mark, before)
        return mark

    async def refresh(self) -> bool:
        """Read what any gateway has revoked since; whether there was something. Raises StorageUnavailable."""
        changed = False
        while entries := await self._log.read_after(start := self._position):
            for mark, before in entries:
                self._note(mark, before)
            self._position = max(self._position, start + len(entries))
            changed = True
        self.loaded = True
        return changed

    def check(self, principal: Principal) -> None:
        """Raises Refused (401) for a principal that is revoked, itself or by one of its minters, and
        StorageUnavailable while what is revoked is not known yet."""
        if not self.loaded:
            raise StorageUnavailable("what has been revoked is not known yet; try again")
        if self.covers(principal):
            raise unauthenticated("revoked", "this credential has been revoked")

    def covers(self, principal: Principal) -> bool:
        """Whether the principal is revoked. One whose time of issue nobody knows was issued before any time, but an
        API key itself is only revoked without a time: with one, the tokens that it minted."""
        before = self._before
        for mark in principal.marks:
            limit = before.get(mark)
            if limit is not None and _issued(principal) < limit:
                return True
        return False

    def _note(self, mark: str, before: float | None) -> None:
        limit = math.inf if before is None else before
        self._before[mark] = max(limit, self._before.get(mark, -math.inf))


def _issued(principal: Principal) -> float:
    if principal.issued_at is not None:
        return principal.issued_at
    return math.nextafter(math.inf, 0) if principal.kind == "key" else -math.inf

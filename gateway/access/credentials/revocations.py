"""Revocations of tokens, subjects and keys. They are permanent and shared by all gateways."""

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
    """The body of `POST /revocations`: one of `jti`, `sub` and `key`. With `before`, later issues are spared."""

    jti: str | None = None
    sub: str | None = None
    key: str | None = None
    before: str | None = None


class SharedRevocations(Protocol):
    """The durable log of revocations, shared by all gateways. Its methods raise StorageUnavailable."""

    async def append(self, mark: str, before: float | None) -> Any:
        """Append a revocation. It is durable when this returns."""

    async def read_after(self, position: int) -> list[tuple[str, float | None]]:
        """Return the entries after this position, a few hundred at most. The first one has the next position."""


def mark_of(request: RevocationRequest) -> tuple[str, float | None]:
    """Return the mark that a request revokes, and the time before which it applies (seconds since 1970; None: always).

    Raises InvalidMessage.
    """
    given = [(kind, value) for kind in ("jti", "sub", "key") if (value := getattr(request, kind)) is not None]
    if len(given) != 1:
        raise InvalidMessage("give exactly one of jti, sub and key")
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
    """All revocations, in memory. Owned by the event loop's thread; `refresh` is to be called every two seconds."""

    def __init__(self, log: SharedRevocations) -> None:
        self._log = log
        self._before: dict[str, float] = {}
        self._position = 0
        self.loaded = False
        """Whether all revocations from before the start have been read. Until then no credential is accepted."""

    async def revoke(self, request: RevocationRequest) -> str:
        """Store the revocation, then enforce it. Return the mark. Raises InvalidMessage, StorageUnavailable."""
        mark, before = mark_of(request)
        await self._log.append(mark, before)
        self._note(mark, before)
        return mark

    async def refresh(self) -> bool:
        """Read new revocations of all gateways. Return whether there were any. Raises StorageUnavailable."""
        changed = False
        while entries := await self._log.read_after(start := self._position):
            for mark, before in entries:
                self._note(mark, before)
            self._position = max(self._position, start + len(entries))
            changed = True
        self.loaded = True
        return changed

    def check(self, principal: Principal) -> None:
        """Raise Refusal (401) if the principal or one of its minters is revoked.

        Raises StorageUnavailable until the revocations have been read.
        """
        if not self.loaded:
            raise StorageUnavailable("revocations have not been read yet; try again")
        if self.covers(principal):
            raise unauthenticated("revoked", "this credential has been revoked")

    def covers(self, principal: Principal) -> bool:
        """Return whether the principal is revoked.

        A revocation with a time covers principals issued before it, and those with an unknown time of issue. An API
        key itself is only covered without a time; with one, only the tokens it has minted are.
        """
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

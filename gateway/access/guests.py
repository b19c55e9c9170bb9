"""Guests: the holder of one connection or stream, with its current rights, how long they last, and its limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from turnwire.gateway.access.audit import Audit
from turnwire.gateway.access.buckets import Bucket, ClientCounts
from turnwire.gateway.access.credentials.credentials import Credentials
from turnwire.gateway.access.lifetimes import Due, Lifetime
from turnwire.gateway.access.principals import Principal
from turnwire.gateway.access.rates import Rates
from turnwire.gateway.access.refusals import Refusal, unauthenticated
from turnwire.protocol.errors import ErrorCode, Overloaded, TurnwireError

_LEAST_STRIKES: Final = 5


class Counted:
    """A place that stays counted until the end of the block. A generator for each connection would take more memory."""

    __slots__ = ("_counts", "_key")

    def __init__(self, counts: ClientCounts, key: str) -> None:
        self._counts = counts
        self._key = key

    def __enter__(self) -> None:
        """Do nothing: whatever made this object has counted already."""

    def __exit__(self, *_: object) -> None:
        self._counts.leave(self._key)


class Guest:
    """The holder of one connection or stream. `principal` is replaced when its rights or its token change."""

    __slots__ = ("_opened", "_reception", "address", "expires", "principal")

    def __init__(self, reception: Reception, principal: Principal, address: str) -> None:
        self._reception = reception
        self._opened: tuple[str, str | None] | None = None
        self.address = address
        self._adopt(principal)

    def _adopt(self, principal: Principal) -> None:
        self.principal = principal
        self.expires = None if principal.expires_at is None else Lifetime(principal, self._reception.now())

    @property
    def counted_as(self) -> str:
        return self.principal.counted_as(self.address)

    @property
    def rates(self) -> Rates:
        return self._reception.rates

    @property
    def may_expire(self) -> bool:
        return self.expires is not None

    def due(self) -> Due | None:
        """Return `Lifetime.due` at the current time."""
        return None if self.expires is None else self.expires.due(self._reception.now())

    def judge_again(self) -> bool:
        """Take over the current rights. Return whether they have changed.

        Raises Refusal (401) if the credential is revoked or gone, StorageUnavailable while revocations are unknown.
        """
        credentials = self._reception.credentials
        if credentials is None:
            return False
        principal = credentials.current(self.principal)
        if principal == self.principal:
            return False
        self._adopt(principal)
        return True

    async def renew(self, token: str) -> Principal:
        """Continue with a newer token of the same subject. Raises Refusal: 401, 403 for another subject, 429."""
        reception = self._reception
        if reception.credentials is None:
            raise unauthenticated("no_tokens", "this gateway does not take tokens: it needs no credential")
        try:
            if not reception.credentials.is_cheap(token):
                reception.rates.check_logins(self.address)
            self._adopt(await reception.credentials.renew(self.principal, token))
        except Refusal as refusal:
            if refusal.code is ErrorCode.UNAUTHENTICATED and (many := reception.rates.failed_login(self.address)):
                refusal = many
            raise refusal from None
        return self.principal

    def counted(self) -> Counted:
        """Count one connection of the principal for the length of the block. Raises Refusal (429) at the limit.

        It stays counted for the principal that opened it, even if `principal` is replaced.
        """
        rates, principal = self._reception.rates, self.principal
        rates.enter(principal, rates.connections, "connections")
        return Counted(rates.connections, principal.id)

    def opened(self, kind: str, session_id: str | None = None) -> None:
        """Audit that the connection was opened. `kind`: publisher, subscriber or stream."""
        self._opened = (kind, session_id)
        self._reception.audit.connection_opened(kind, self.principal, self.address, session_id)

    def left(self, code: int | None) -> None:
        """Audit that the connection was closed, if its opening was audited. `code`: the close code, if any."""
        if self._opened is not None:
            kind, session_id = self._opened
            self._opened = None
            self._reception.audit.connection_closed(kind, self.principal, self.address, code, session_id)

    def refused(self, error: TurnwireError, path: str) -> None:
        """Audit that a message on the connection to this path was answered with an error, if it was a refusal or a
        limit."""
        if isinstance(error, Refusal):
            self._reception.audit.refused(error, self.address, self.principal.id, "MESSAGE", path)
        elif isinstance(error, Overloaded) and error.limit is not None:
            self.limited(error.limit)

    def limited(self, limit: str) -> None:
        """Audit that a limit was hit."""
        self._reception.audit.limited(limit, self.principal.id, self.address)


class Reception:
    """Makes guests. Shared by all endpoints of a gateway."""

    def __init__(
        self, rates: Rates, audit: Audit, credentials: Credentials | None, now: Callable[[], float] = time.time
    ) -> None:
        """`now` returns seconds since 1970. Without `credentials`, everybody is ANONYMOUS."""
        self.rates = rates
        self.audit = audit
        self.credentials = credentials
        self.now = now

    def receive(self, principal: Principal, address: str) -> Guest:
        return Guest(self, principal, address)


class Strikes:
    """A rate with a grace: frames over it are first answered with an error; too many of them end the connection."""

    __slots__ = ("_bucket", "_clock", "_left")

    def __init__(self, bucket: Bucket, clock: Callable[[], float]) -> None:
        self._bucket = bucket
        self._clock = clock
        self._left = self._most

    @property
    def _most(self) -> int:
        return max(_LEAST_STRIKES, int(self._bucket.rate.per_second))

    def take(self) -> bool:
        """Count one frame. Return whether it is within the rate."""
        if self._bucket.take(self._clock()):
            return True
        self._left -= 1
        return False

    @property
    def out(self) -> bool:
        """Whether too many frames were over the rate: as many as are allowed in a second."""
        return self._left <= 0

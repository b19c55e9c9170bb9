"""Whoever holds one connection or stream: his rights as they are now, how long they last, what is counted of him."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from turnwire.gateway.access.audit import Audit
from turnwire.gateway.access.buckets import Bucket
from turnwire.gateway.access.credentials.credentials import Credentials
from turnwire.gateway.access.lifetimes import Due, Lifetime
from turnwire.gateway.access.principals import Principal
from turnwire.gateway.access.rates import Rates
from turnwire.gateway.access.refusals import Refused, unauthenticated
from turnwire.protocol.errors import ErrorCode

_LEAST_STRIKES: Final = 5


class Guest:
    """Of one connection or stream. `principal` is replaced when its rights, or its token, are."""

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
    def rates(self) -> Rates:
        return self._reception.rates

    @property
    def may_expire(self) -> bool:
        return self.expires is not None

    def due(self) -> Due | None:
        """As `Lifetime.due`, by the gateway's clock."""
        return None if self.expires is None else self.expires.due(self._reception.now())

    def judge_again(self) -> bool:
        """Take over the rights as they are now; whether they are others. Raises Refused (401) for a credential that is
        revoked or gone, StorageUnavailable while that cannot be said."""
        credentials = self._reception.credentials
        if credentials is None:
            return False
        principal = credentials.current(self.principal)
        if principal == self.principal:
            return False
        self._adopt(principal)
        return True

    async def renew(self, token: str) -> Principal:
        """Go on with a newer token of the same subject. Raises Refused: 401, 403 for another subject, 429."""
        reception = self._reception
        if reception.credentials is None:
            raise unauthenticated("no_tokens", "this gateway asks for no token")
        try:
            if not reception.credentials.is_cheap(token):
                reception.rates.check_logins(self.address)
            self._adopt(await reception.credentials.renew(self.principal, token))
        except Refused as refused:
            if refused.code is ErrorCode.UNAUTHENTICATED and (many := reception.rates.failed_login(self.address)):
                refused = many
            reception.audit.refused(refused, self.address, self.principal.id, "AUTH", "")
            raise refused from None
        return self.principal

    @contextmanager
    def counted(self) -> Iterator[None]:
        """One of the principal's connections while the block lasts. Raises Refused (429) when he has as many as he may,
        by the count, for which the id that he came with is kept."""
        rates, principal = self._reception.rates, self.principal
        rates.enter(principal, rates.connections, "connections")
        try:
            yield
        finally:
            rates.connections.leave(principal.id)

    def opened(self, kind: str, session_id: str | None = None) -> None:
        """Tell the audit."""
        self._opened = (kind, session_id)
        self._reception.audit.connection_opened(kind, self.principal, self.address, session_id)

    def left(self, code: int | None) -> None:
        """Tell the audit, if it was told of the opening. `code` is the close code, if there was one."""
        if self._opened is not None:
            kind, session_id = self._opened
            self._opened = None
            self._reception.audit.connection_closed(kind, self.principal, self.address, code, session_id)

    def limited(self, limit: str) -> None:
        """Tell the audit that a limit was hit."""
        self._reception.audit.limited(limit, self.principal.id, self.address)


class Reception:
    """Makes guests. Shared by all endpoints of a gateway."""

    def __init__(
        self, rates: Rates, audit: Audit, credentials: Credentials | None, now: Callable[[], float] = time.time
    ) -> None:
        """`now` gives seconds since 1970. Without credentials everybody is ANONYMOUS."""
        self.rates = rates
        self.audit = audit
        self.credentials = credentials
        self.now = now

    def receive(self, principal: Principal, address: str) -> Guest:
        return Guest(self, principal, address)


class Strikes:
    """A rate over which somebody is told first and sent away when he does not stop."""

    __slots__ = ("_bucket", "_clock", "_left")

    def __init__(self, bucket: Bucket, clock: Callable[[], float]) -> None:
        self._bucket = bucket
        self._clock = clock
        self._left = self._most

    @property
    def _most(self) -> int:
        return max(_LEAST_STRIKES, int(self._bucket.rate.per_second))

    def take(self) -> bool:
        """Whether one more is within the rate."""
        if self._bucket.take(self._clock()):
            return True
        self._left -= 1
        return False

    @property
    def out(self) -> bool:
        """Whether so many were over the rate that it is enough: as many as are allowed in a second."""
        return self._left <= 0

"""Limits how many sessions a principal may create, and how many it may have in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from turnwire.gateway.access.audit import Audit
from turnwire.gateway.access.principals import Principal
from turnwire.gateway.access.rates import Rates
from turnwire.gateway.access.refusals import rate_limited


class SessionQuotas:
    """Counts the sessions that principals create and hold. Owned by the event loop's thread."""

    def __init__(
        self,
        rates: Rates,
        audit: Audit,
        *,
        is_live: Callable[[str], bool],
        exists: Callable[[str], Awaitable[bool]],
    ) -> None:
        """`is_live` returns whether a session is in memory; `exists`, whether it exists at all, and may raise
        StorageUnavailable."""
        self._rates = rates
        self._audit = audit
        self._is_live = is_live
        self._exists = exists
        self._held: dict[str, set[str]] = {}
        """Principal → its sessions in memory."""
        self._holders: dict[str, set[str]] = {}
        """sessionId → the principals that hold it."""

    async def check(self, principal: Principal, session_id: str) -> None:
        """Raise Refusal (429) if the principal is over its rate of new sessions, unless the session exists already.

        Call this before a session is created. Retries are free.
        """
        wait = self._rates.wait_to_create(principal)
        if wait > 0 and not await self._exists(session_id):
            self._rates.refuse_creation(wait)

    def created(self, principal: Principal, session_id: str) -> None:
        """Count and audit a session that was created for this principal."""
        self._rates.count_created(principal)
        self._audit.session_created(session_id, principal)
        self.owns(principal, session_id)

    def check_live(self, principal: Principal, session_id: str) -> None:
        """Raise Refusal (429) if the principal has as many sessions in memory as it may have.

        Call this before a session is created or claimed.
        """
        most = self._rates.max_live_sessions
        held = self._held.get(principal.id)
        if not most or held is None or session_id in held or len(held) < most:
            return
        raise rate_limited("live_sessions", f"this credential has {most} live sessions, which is the limit", 1)

    def owns(self, principal: Principal, session_id: str) -> None:
        """Note that the principal has created or claimed this session."""
        if self._rates.max_live_sessions and self._is_live(session_id):
            self._held.setdefault(principal.id, set()).add(session_id)
            self._holders.setdefault(session_id, set()).add(principal.id)

    def left(self, session_id: str) -> None:
        """Note that a session has left memory."""
        for principal_id in self._holders.pop(session_id, ()):
            held = self._held[principal_id]
            held.discard(session_id)
            if not held:
                del self._held[principal_id]

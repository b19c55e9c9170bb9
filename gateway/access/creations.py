"""How many sessions a principal may create, and have in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from turnwire.gateway.access.audit import Audit
from turnwire.gateway.access.principals import Principal
from turnwire.gateway.access.rates import Rates
from turnwire.gateway.access.refusals import rate_limited

_LOOK_SECONDS: Final = 1.0
"""How often a principal's sessions are looked through, at most, for those that have left memory."""


class Creations:
    """Counts the sessions that principals create and hold. Owner: the event loop's thread."""

    def __init__(
        self,
        rates: Rates,
        audit: Audit,
        *,
        is_live: Callable[[str], bool],
        exists: Callable[[str], Awaitable[bool]],
    ) -> None:
        """`is_live`: whether a session is in memory; `exists`: whether there is one, which may raise
        StorageUnavailable."""
        self._rates = rates
        self._audit = audit
        self._is_live = is_live
        self._exists = exists
        self._held: dict[str, dict[str, None]] = {}
        self._looked_at: dict[str, float] = {}

    async def check(self, principal: Principal, session_id: str) -> None:
        """Before a session is created. Raises Refused (429) when the principal has created too many just now, unless
        there is such a session already: retries stay free."""
        wait = self._rates.wait_to_create(principal)
        if wait > 0 and not await self._exists(session_id):
            self._rates.refuse_creation(wait)

    def created(self, principal: Principal, session_id: str) -> None:
        """A session has been created for this principal."""
        self._rates.count_created(principal)
        self._audit.session_created(session_id, principal)
        self.owns(principal, session_id)

    def check_live(self, principal: Principal, session_id: str) -> None:
        """Before a session is created or claimed. Raises Refused (429) when the principal has as many in memory as it
        may have."""
        most = self._rates.max_live_sessions
        held = self._held.get(principal.id)
        if not most or held is None or session_id in held or len(held) < most:
            return
        now = self._rates.clock()
        if now - self._looked_at.get(principal.id, -_LOOK_SECONDS) >= _LOOK_SECONDS:
            self._looked_at[principal.id] = now
            self._forget_evicted(principal.id)
        if len(self._held.get(principal.id, ())) >= most:
            raise rate_limited("live_sessions", f"this credential has its {most} live sessions", 1)

    def owns(self, principal: Principal, session_id: str) -> None:
        """The principal has created or claimed this session."""
        if self._rates.max_live_sessions:
            self._held.setdefault(principal.id, {})[session_id] = None

    async def forget_evicted(self) -> None:
        """Forget sessions that are in memory no more. To be called now and then."""
        for principal_id in tuple(self._held):
            self._forget_evicted(principal_id)

    def _forget_evicted(self, principal_id: str) -> None:
        kept = {each: None for each in self._held.get(principal_id, ()) if self._is_live(each)}
        if kept:
            self._held[principal_id] = kept
        else:
            self._held.pop(principal_id, None)
            self._looked_at.pop(principal_id, None)

"""Who is about to end a session, so that the audit can name him: the session itself knows nothing of principals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from turnwire.gateway.access.audit import Audit
from turnwire.gateway.access.principals import Principal


class Enders:
    """Remembers who has asked for an end that has not come yet. Owner: the event loop's thread."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._asking: dict[str, Principal] = {}

    def asks(self, session_id: str, principal: Principal) -> None:
        """The principal has asked for the end, and nobody before it."""
        self._asking.setdefault(session_id, principal)

    def gives_up(self, session_id: str, principal: Principal) -> None:
        """The principal's connection is gone, and with it what it may have asked."""
        if self._asking.get(session_id) is principal:
            del self._asking[session_id]

    @contextmanager
    def may_end(self, session_id: str, principal: Principal) -> Iterator[None]:
        """While the block lasts, the session's end is this principal's, unless somebody else had asked before."""
        self.asks(session_id, principal)
        try:
            yield
        finally:
            self.gives_up(session_id, principal)

    def ended(self, session_id: str, status: str, reason: str | None) -> None:
        """The session has ended here: tell the audit by whom. It was the gateway when nobody had asked."""
        self._audit.session_ended(session_id, status, reason, self._asking.pop(session_id, None))

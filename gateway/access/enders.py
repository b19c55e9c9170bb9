"""Remembers which principal has asked to end a session, for the audit: sessions know nothing of principals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from turnwire.gateway.access.audit import Audit
from turnwire.gateway.access.principals import Principal


class Enders:
    """The principals that have asked for an end that is still outstanding. Owned by the event loop's thread."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._asking: dict[str, Principal] = {}

    def note(self, session_id: str, principal: Principal) -> None:
        """Note that the principal has asked for the end. The first one to ask counts."""
        self._asking.setdefault(session_id, principal)

    def forget(self, session_id: str, principal: Principal) -> None:
        """Drop the principal's request, if it has one: its connection is gone."""
        if self._asking.get(session_id) is principal:
            del self._asking[session_id]

    @contextmanager
    def attributed(self, session_id: str, principal: Principal) -> Iterator[None]:
        """Attribute an end of the session during the block to this principal, unless another has asked before."""
        self.note(session_id, principal)
        try:
            yield
        finally:
            self.forget(session_id, principal)

    def report_end(self, session_id: str, status: str, reason: str | None) -> None:
        """Audit that the session has ended here, and by whom: by the gateway if nobody has asked."""
        self._audit.session_ended(session_id, status, reason, self._asking.pop(session_id, None))

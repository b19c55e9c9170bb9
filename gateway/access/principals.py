"""Principals: who sends a request, and what they may do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import asdict, force_setattr

from turnwire.gateway.access.refusals import forbidden
from turnwire.protocol.errors import Overloaded
from turnwire.protocol.rights import ALL_SESSIONS, Scope

Kind = Literal["anonymous", "key", "token"]


class Principal(Struct, frozen=True, kw_only=True):
    """The sender of requests, with its rights. Times are in seconds since 1970.

    `id` tells principals apart: `key:<id>` for an API key, `sub:<sub>` for a token. For a token minted here, it
    contains the minter's id, so that a minter cannot become another principal.
    """

    id: str
    scopes: frozenset[Scope]
    sessions: tuple[str, ...] = ()
    """Exact sessionIds, and prefixes that end in `*`."""
    expires_at: float | None = None
    kind: Kind = "token"
    marks: tuple[str, ...] = ()
    """The marks by which a revocation can name it, its own and those of its minters: `key:…`, `sub:…`, `jti:…`."""
    issued_at: float | None = None
    """When it, or the earliest of its minters, was issued; None if unknown."""
    fingerprint: str = ""
    """The digest of an API key's secret; empty for others."""
    _exact: frozenset[str] = frozenset()
    _prefixes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        force_setattr(self, "_exact", frozenset(each for each in self.sessions if not each.endswith("*")))
        force_setattr(self, "_prefixes", tuple(each[:-1] for each in self.sessions if each.endswith("*")))

    @property
    def known_as(self) -> str | None:
        """The name for whoever asked in a session's log; None without authentication, where nobody is known."""
        return None if self.kind == "anonymous" else self.id

    def counted_as(self, address: str) -> str:
        """Return whom limits count: the principal, or the address of one without a credential."""
        return address if self.kind == "anonymous" else self.id

    @property
    def is_admin(self) -> bool:
        return Scope.ADMIN in self.scopes

    @property
    def covers_all(self) -> bool:
        """Whether all sessions are covered, and with them requests that concern no session in particular."""
        return self.is_admin or ALL_SESSIONS in self.sessions

    @property
    def patterns(self) -> tuple[str, ...] | None:
        """The sessions that a list may show, as exact sessionIds and prefixes that end in `*`; None for all."""
        return None if self.covers_all else self.sessions

    def covers(self, session_id: str) -> bool:
        return self.is_admin or session_id in self._exact or session_id.startswith(self._prefixes)

    def may(self, scope: Scope, session_id: str | None = None) -> bool:
        """Return whether the principal has the scope and covers the session, if one is given."""
        if self.is_admin:
            return True
        return scope in self.scopes and (session_id is None or self.covers(session_id))

    def may_any(self, scopes: Iterable[Scope]) -> bool:
        return self.is_admin or not self.scopes.isdisjoint(scopes)

    def require(self, scope: Scope, session_id: str | None = None) -> None:
        """Raise Refusal (403) unless `may` is True."""
        if Scope.ADMIN in self.scopes:  # nearly every request comes here
            return
        if scope not in self.scopes:
            raise forbidden("scope", f"this needs the scope {scope}")
        if session_id is not None and not self.covers(session_id):
            raise forbidden("sessions", "this credential does not cover this session")

    def require_all(self, scopes: Iterable[Scope], session_id: str) -> None:
        """Raise Refusal (403) unless the principal has all of the scopes and covers the session."""
        for scope in scopes:
            self.require(scope, session_id)

    def require_any(self, *scopes: Scope) -> None:
        """Raise Refusal (403) unless the principal has one of the scopes."""
        if not self.may_any(scopes):
            raise forbidden("scope", f"this needs the scope {' or '.join(scopes)}")

    def require_new_session(self, session_id: str | None) -> None:
        """Raise Refusal (403) unless the principal may create a session with this id; None means any id."""
        self.require(Scope.CREATE, session_id)
        if session_id is None and not self.covers_all:
            raise forbidden("sessions", 'a session without sessionId needs a credential for sessions ["*"]')

    def may_take_over_from(self, holder: str) -> bool:
        """Return whether the principal may replace a publisher whose principal has this id."""
        return self.id == holder or self.is_admin


class Surplus(Principal, frozen=True, kw_only=True):
    """A principal whose connection has no place. Its requests are refused for lack of rights first, and then for lack
    of a place."""

    full: Overloaded

    @classmethod
    def of(cls, principal: Principal, full: Overloaded) -> Surplus:
        return cls(**asdict(principal), full=full)

    def require(self, scope: Scope, session_id: str | None = None) -> None:
        super().require(scope, session_id)
        raise self.full

    def require_all(self, scopes: Iterable[Scope], session_id: str) -> None:
        for scope in scopes:
            super().require(scope, session_id)
        raise self.full

    def require_any(self, *scopes: Scope) -> None:
        super().require_any(*scopes)
        raise self.full


ANONYMOUS: Final = Principal(
    id="anonymous", scopes=frozenset({Scope.ADMIN}), sessions=(ALL_SESSIONS,), kind="anonymous"
)
"""Any client, without authentication."""

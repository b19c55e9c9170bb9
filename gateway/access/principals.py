"""Who is asking, and what they may do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import force_setattr

from turnwire.gateway.access.refusals import forbidden
from turnwire.protocol.rights import ALL_SESSIONS, Scope

Kind = Literal["anonymous", "key", "token"]


class Principal(Struct, frozen=True, kw_only=True):
    """Who is asking.

    `id` tells principals apart: `key:<id>` for an API key, `sub:<sub>` for a token, and for a token minted here the
    minter's before it, so that nobody mints himself into somebody else. Times are in seconds since 1970.
    """

    id: str
    scopes: frozenset[Scope]
    sessions: tuple[str, ...] = ()
    """Exact ids, and prefixes that end in `*`."""
    expires_at: float | None = None
    kind: Kind = "token"
    marks: tuple[str, ...] = ()
    """What a revocation may name to reach it: `key:…`, `sub:…`, `jti:…`, its own and those of its minters."""
    issued_at: float | None = None
    """When it, or the eldest of its minters, was issued; None when nobody says."""
    fingerprint: str = ""
    """Of an API key: the digest of its secret."""
    _exact: frozenset[str] = frozenset()
    _prefixes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        force_setattr(self, "_exact", frozenset(each for each in self.sessions if not each.endswith("*")))
        force_setattr(self, "_prefixes", tuple(each[:-1] for each in self.sessions if each.endswith("*")))

    @property
    def known_as(self) -> str | None:
        """What stands in a session's log for whoever asked; None without authentication, where nobody knows."""
        return None if self.kind == "anonymous" else self.id

    @property
    def is_admin(self) -> bool:
        return Scope.ADMIN in self.scopes

    @property
    def covers_all(self) -> bool:
        """Whether every session is covered, and what is about none in particular."""
        return self.is_admin or ALL_SESSIONS in self.sessions

    @property
    def patterns(self) -> tuple[str, ...] | None:
        """The sessions to be shown in a list: exact ids, and prefixes that end in `*`; None for all."""
        return None if self.covers_all else self.sessions

    def covers(self, session_id: str) -> bool:
        return self.is_admin or session_id in self._exact or session_id.startswith(self._prefixes)

    def may(self, scope: Scope, session_id: str | None = None) -> bool:
        """Whether the scope is held, and the session covered, if one is named."""
        if self.is_admin:
            return True
        return scope in self.scopes and (session_id is None or self.covers(session_id))

    def may_any(self, scopes: Iterable[Scope]) -> bool:
        return self.is_admin or not self.scopes.isdisjoint(scopes)

    def require(self, scope: Scope, session_id: str | None = None) -> None:
        """Raises Refused (403) unless `may`."""
        if not self.may(scope):
            raise forbidden("scope", f"this needs the scope {scope}")
        if session_id is not None and not self.covers(session_id):
            raise forbidden("sessions", "this session is not among those of the credential")

    def require_any(self, *scopes: Scope) -> None:
        """Raises Refused (403) unless one of the scopes is held."""
        if not self.may_any(scopes):
            raise forbidden("scope", f"this needs the scope {' or '.join(scopes)}")

    def require_new_session(self, session_id: str | None) -> None:
        """Raises Refused (403) unless a session of this id may be created; without an id, of any."""
        self.require(Scope.CREATE, session_id)
        if session_id is None and not self.covers_all:
            raise forbidden("sessions", 'a session without sessionId needs a credential for sessions ["*"]')

    def may_take_over_from(self, other: Principal | None) -> bool:
        """Whether a publisher of `other` may be replaced. None: of somebody unknown, on another gateway or before."""
        return other is None or self.id == other.id or self.is_admin


ANONYMOUS: Final = Principal(
    id="anonymous", scopes=frozenset({Scope.ADMIN}), sessions=(ALL_SESSIONS,), kind="anonymous"
)
"""Everybody, where there is no authentication."""

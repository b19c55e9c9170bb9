"""Who came, who was refused, what they changed: one JSON object a line, on the logger `turnwire.audit`.

Never tokens, payloads or metadata.
"""

from __future__ import annotations

import logging
import sys
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal

import msgspec

from turnwire.gateway.access.principals import Principal
from turnwire.gateway.access.refusals import Refused
from turnwire.gateway.clock import utc_now
from turnwire.protocol.errors import ErrorCode
from turnwire.protocol.rights import parse_key
from turnwire.protocol.times import format_time

_log = logging.getLogger("turnwire.audit")
_LIMIT_PAUSE: Final = 60.0
_MAX_LIMITS: Final = 10_000
_MAX_CHARS: Final = 256

Field = str | int | float | bool | list[str] | None
Happening = Literal[
    "refused",
    "limited",
    "connection_opened",
    "connection_closed",
    "session_created",
    "session_ended",
    "session_erased",
    "takeover",
    "token_minted",
    "revoked",
    "keys_changed",
]


def configure_audit() -> None:
    """Send the audit to standard error as it is: JSON, whatever the form of the other logs. May be called again."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    _log.handlers[:] = [handler]
    _log.setLevel(logging.INFO)
    _log.propagate = False


class Audit:
    """Writes the audit. Owner: the event loop's thread. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float], now: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._now = now
        self._limited_at: OrderedDict[tuple[str, str], float] = OrderedDict()

    def refused(self, refused: Refused, address: str, who: str | None, method: str, path: str) -> None:
        """A request that was not let in. `who` is a principal's id, or that of the API key that was claimed; `path` is
        without its query. Over a rate: once a minute for each rate and principal or address."""
        if refused.code is ErrorCode.RATE_LIMITED:
            self.limited(refused.reason.removeprefix("rate_"), who or address, address)
            return
        self._write(
            "refused", status=refused.status, reason=refused.reason, address=address, who=who, method=method, path=path
        )

    def limited(self, limit: str, who: str, address: str | None = None) -> None:
        """Somebody is over a limit: a rate or a bound. Once a minute for each, however often it is called."""
        now, key = self._clock(), (limit, who)
        told = self._limited_at.get(key)
        if told is not None and now - told < _LIMIT_PAUSE:
            return
        self._limited_at[key] = now
        self._limited_at.move_to_end(key)
        if len(self._limited_at) > _MAX_LIMITS:
            self._limited_at.popitem(last=False)
        self._write("limited", limit=limit, who=who, address=address)

    def connection_opened(self, kind: str, principal: Principal, address: str, session_id: str | None = None) -> None:
        """`kind` is publisher, subscriber or stream."""
        self._write("connection_opened", kind=kind, who=principal.id, address=address, sessionId=session_id)

    def connection_closed(
        self, kind: str, principal: Principal, address: str, code: int | None, session_id: str | None = None
    ) -> None:
        """`code` is the close code, if there was one."""
        self._write("connection_closed", kind=kind, who=principal.id, address=address, code=code, sessionId=session_id)

    def session_created(self, session_id: str, principal: Principal) -> None:
        self._write("session_created", sessionId=session_id, who=principal.id)

    def session_ended(self, session_id: str, status: str, reason: str | None, principal: Principal | None) -> None:
        """Without a principal it was the gateway that ended it."""
        who = None if principal is None else principal.id
        self._write("session_ended", sessionId=session_id, status=status, reason=reason, who=who)

    def session_erased(self, session_id: str, principal: Principal, *, forced: bool) -> None:
        self._write("session_erased", sessionId=session_id, who=principal.id, forced=forced)

    def takeover(self, session_id: str, principal: Principal, before: str) -> None:
        """A publisher took a session over; `before` is the id of the principal whose it was."""
        self._write("takeover", sessionId=session_id, who=principal.id, before=before)

    def token_minted(
        self, minter: Principal, *, sub: str, jti: str, scope: str, sessions: list[str], expires_at: str
    ) -> None:
        self._write(
            "token_minted", who=minter.id, sub=sub, jti=jti, scope=scope, sessions=sessions[:20], expiresAt=expires_at
        )

    def revoked(self, principal: Principal, mark: str, before: str | None) -> None:
        """`mark` is `jti:…`, `sub:…` or `key:…`."""
        self._write("revoked", who=principal.id, mark=mark, before=before)

    def keys_changed(self) -> None:
        self._write("keys_changed")

    def _write(self, happening: Happening, **fields: Field) -> None:
        row: dict[str, Field] = {"time": format_time(self._now()), "audit": happening}
        for name, value in fields.items():
            if value is not None:
                row[name] = _cut(value) if isinstance(value, str) else value
        _log.info("%s", msgspec.json.encode(row).decode())


def claimed_key(credential: str | None) -> str | None:
    """The id of an API key that was presented, right or wrong; nothing of its secret, and nothing of a token."""
    key = None if credential is None else parse_key(credential)
    return None if key is None else f"key:{key.id}"


def _cut(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _MAX_CHARS else text[: _MAX_CHARS - 1] + "…"

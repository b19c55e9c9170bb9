"""The audit log: who connected, who was refused, what they changed. One JSON object per line, on `turnwire.audit`.

It never holds tokens, payloads or metadata.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal

import msgspec

from turnwire.gateway.access.principals import Principal
from turnwire.gateway.access.refusals import Refusal
from turnwire.gateway.clock import utc_now
from turnwire.gateway.standard_error import log_handler
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
    "session_archived",
    "archive_failed",
    "sessions_imported",
    "takeover",
    "token_minted",
    "revoked",
    "keys_changed",
    "webhook",
]


def configure_audit() -> None:
    """Send the audit to standard error, always as JSON, whatever the format of other logs. May be called again."""
    handler = log_handler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    _log.handlers[:] = [handler]
    _log.setLevel(logging.INFO)
    _log.propagate = False


class Audit:
    """Writes the audit log. Owned by the event loop's thread. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float], now: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._now = now
        self._limited_at: OrderedDict[tuple[str, str], float] = OrderedDict()

    def refused(self, refusal: Refusal, address: str, who: str | None, method: str, path: str) -> None:
        """Record a refused request. `who`: a principal's id, or that of the presented API key. `path`: without query.

        A request over a rate is recorded once a minute for each rate and principal or address.
        """
        if refusal.code is ErrorCode.RATE_LIMITED:
            self.limited(refusal.reason.removeprefix("rate_"), who or address, address)
            return
        self._write(
            "refused", status=refusal.status, reason=refusal.reason, address=address, who=who, method=method, path=path
        )

    def limited(self, limit: str, who: str, address: str | None = None) -> None:
        """Record that `who` is over a limit, at most once a minute for each limit and `who`."""
        now, key = self._clock(), (limit, who)
        recorded = self._limited_at.get(key)
        if recorded is not None and now - recorded < _LIMIT_PAUSE:
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
        """`code` is the close code; None without one."""
        self._write("connection_closed", kind=kind, who=principal.id, address=address, code=code, sessionId=session_id)

    def session_created(self, session_id: str, principal: Principal) -> None:
        self._write("session_created", sessionId=session_id, who=principal.id)

    def session_ended(self, session_id: str, status: str, reason: str | None, principal: Principal | None) -> None:
        """Without a principal, the gateway has ended the session."""
        who = None if principal is None else principal.id
        self._write("session_ended", sessionId=session_id, status=status, reason=reason, who=who)

    def session_erased(self, session_id: str, principal: Principal | None, *, forced: bool) -> None:
        """Without a principal, the gateway has erased the session because its retention time was over."""
        who = "retention" if principal is None else principal.id
        self._write("session_erased", sessionId=session_id, who=who, forced=forced)

    def session_archived(self, session_id: str) -> None:
        self._write("session_archived", sessionId=session_id, who="retention")

    def archive_failed(self, reason: str) -> None:
        """Record that the archive does not answer, or is damaged; what was to be archived stays in the database."""
        self._write("archive_failed", reason=reason)

    def sessions_imported(self, principal: Principal, count: int) -> None:
        self._write("sessions_imported", who=principal.id, count=count)

    def takeover(self, session_id: str, principal: Principal, before: str) -> None:
        """Record that a publisher has taken over a session; `before`: the id of the previous publisher's principal."""
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

    def webhook(self, principal: Principal, webhook_id: str, done: str) -> None:
        """`done`: what was done to the webhook, such as added."""
        self._write("webhook", who=principal.id, webhookId=webhook_id, done=done)

    def _write(self, happening: Happening, **fields: Field) -> None:
        row: dict[str, Field] = {"time": format_time(self._now()), "audit": happening}
        for name, value in fields.items():
            if value is not None:
                row[name] = _cut(value) if isinstance(value, str) else value
        _log.info("%s", msgspec.json.encode(row).decode())


def claimed_key(credential: str | None) -> str | None:
    """Return the id of a presented API key, valid or not; None for anything else. Nothing of its secret is returned."""
    key = None if credential is None else parse_key(credential)
    return None if key is None else f"key:{key.id}"


def _cut(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _MAX_CHARS else text[: _MAX_CHARS - 1] + "…"

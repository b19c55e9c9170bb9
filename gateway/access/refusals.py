"""Refusals: the answer to a refused request, and the reason for the audit log."""

from __future__ import annotations

import math
from collections.abc import Mapping

from turnwire.protocol.errors import ErrorCode, TurnwireError

_REALM = 'Bearer realm="turnwire"'


class Refusal(TurnwireError):
    """A refused request.

    `status`: the HTTP status. `reason`: a fixed word for the audit log. `headers`: those of the answer. `retry_after`:
    seconds, for 429 and 503. No text repeats a credential.
    """

    def __init__(
        self,
        code: ErrorCode,
        reason: str,
        message: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: float = 1.0,
    ) -> None:
        super().__init__(code, message)
        self.reason = reason
        if status is not None:
            self.status = status
        self.headers = dict(headers or {})
        self.retry_after = retry_after


def unauthenticated(reason: str, message: str) -> Refusal:
    """Return a 401 for a credential that is not valid."""
    challenge = f'{_REALM}, error="invalid_token"'
    return Refusal(ErrorCode.UNAUTHENTICATED, reason, message, headers={"WWW-Authenticate": challenge})


def no_credential() -> Refusal:
    """Return a 401 for a request without a credential."""
    message = "a credential is needed: Authorization: Bearer with an API key or a token"
    return Refusal(ErrorCode.UNAUTHENTICATED, "no_credential", message, headers={"WWW-Authenticate": _REALM})


def forbidden(reason: str, message: str) -> Refusal:
    """Return a 403 for a principal that may not do this. It does not reveal what exists."""
    return Refusal(ErrorCode.FORBIDDEN, reason, message)


def rate_limited(name: str, message: str, wait: float, headers: Mapping[str, str] | None = None) -> Refusal:
    """Return a 429. `wait`: the seconds until the client may try again."""
    wait = max(1, math.ceil(min(wait, 3600)))
    reason = f"rate_{name}"
    return Refusal(ErrorCode.RATE_LIMITED, reason, message, headers=headers, retry_after=wait)


def bad_request(reason: str, message: str) -> Refusal:
    """Return a 400 for a request that no correct client sends."""
    return Refusal(ErrorCode.INVALID_MESSAGE, reason, message)


def cannot_judge(reason: str, message: str) -> Refusal:
    """Return a 503 for a credential that cannot be checked now, because the keys for that are not available."""
    return Refusal(ErrorCode.OVERLOADED, reason, message, retry_after=5)

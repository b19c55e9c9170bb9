"""Why the door stays closed: the answer, and the word the audit keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping

from turnwire.protocol.errors import ErrorCode, TurnwireError

_REALM = 'Bearer realm="turnwire"'


class Refused(TurnwireError):
    """A request that is not let in.

    `status` is the HTTP status, `reason` a fixed word for the audit, `headers` those of the answer, `retry_after` in
    seconds, for 429 and 503. No text of it repeats a credential.
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


def unauthenticated(reason: str, message: str) -> Refused:
    """401 for a credential that is wrong."""
    challenge = f'{_REALM}, error="invalid_token"'
    return Refused(ErrorCode.UNAUTHENTICATED, reason, message, headers={"WWW-Authenticate": challenge})


def no_credential() -> Refused:
    """401 for a request that brings none."""
    message = "a credential is needed: Authorization: Bearer, with an API key or a token"
    return Refused(ErrorCode.UNAUTHENTICATED, "no_credential", message, headers={"WWW-Authenticate": _REALM})


def forbidden(reason: str, message: str) -> Refused:
    """403 for a principal that may not do this. Says nothing about what exists."""
    return Refused(ErrorCode.FORBIDDEN, reason, message)


def rate_limited(name: str, message: str, wait: float, headers: Mapping[str, str] | None = None) -> Refused:
    """429; `wait` is in seconds."""
    wait = max(1, math.ceil(min(wait, 3600)))
    reason = f"rate_{name}"
    return Refused(ErrorCode.RATE_LIMITED, reason, message, headers=headers, retry_after=wait)


def bad_request(reason: str, message: str) -> Refused:
    """400 for what no client of ours sends."""
    return Refused(ErrorCode.INVALID_MESSAGE, reason, message)


def cannot_judge(reason: str, message: str) -> Refused:
    """503 while what a credential is judged by cannot be had: neither in nor out."""
    return Refused(ErrorCode.OVERLOADED, reason, message, retry_after=5)

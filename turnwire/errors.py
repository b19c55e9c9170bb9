"""What the client library raises. Everything is a ClientError; the names say what a bot should do about it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from turnwire.protocol.errors import CloseCode, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from turnwire.protocol.messages import NackItem, Session


class ClientError(Exception):
    """Base of all errors of this library."""


class Unreachable(ClientError):
    """No gateway answered, or it said it cannot serve now, for as long as the caller would wait. Try again later."""


class TokenError(Unreachable):
    """The function that was given as `token` failed, so that nothing could be asked. Publishers and subscriptions try
    again; a Client raises it.
    """


class InvalidEvent(ClientError, ValueError):
    """`send`, `post`, `signal` or `hint` was given what is not JSON or over the limits; nothing was queued."""


class SpoolError(ClientError):
    """The file of a publisher's unsent events cannot be used: locked, of another call, not a spool, or the disk fails.

    From `send`: the event was not queued.
    """


class PublisherClosed(ClientError):
    """The publisher takes nothing more: it was closed, or its session was asked to end."""


class Refused(ClientError):
    """The gateway said no for good; trying the same again will not help.

    `status` is the HTTP status of a refused request, `close_code` that of a closed connection, and `code` the
    protocol's word for it, as far as they are known.
    """

    def __init__(
        self,
        message: str,
        *,
        code: ErrorCode | None = None,
        status: int | None = None,
        close_code: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.close_code = close_code


class SessionNotFound(Refused):
    """There is no such session."""


class SessionEnded(Refused):
    """The session has ended and takes no more events."""


class Superseded(Refused):
    """A newer publisher has taken the session over; this one must stop."""


class NotAllowed(Refused):
    """Not authenticated, or not allowed."""


class EventsRejected(ClientError):
    """The gateway refused events for what they are (`nacks`, in the order sent). All others are stored.

    Raised by `complete`, it carries the ended `session`: the refusal did not keep it from ending.
    """

    def __init__(self, nacks: Sequence[NackItem], session: Session | None = None) -> None:
        first = nacks[0]
        more = f" and {len(nacks) - 1} more" if len(nacks) > 1 else ""
        super().__init__(f"the gateway refused event {first.event_id!r} ({first.code.value}: {first.message}){more}")
        self.nacks = list(nacks)
        self.session = session


_BY_CODE: dict[ErrorCode, type[Refused]] = {
    ErrorCode.NOT_FOUND: SessionNotFound,
    ErrorCode.SESSION_ENDED: SessionEnded,
    ErrorCode.SUPERSEDED: Superseded,
    ErrorCode.UNAUTHENTICATED: NotAllowed,
    ErrorCode.FORBIDDEN: NotAllowed,
}

_BY_CLOSE: dict[int, tuple[ErrorCode | None, str]] = {
    CloseCode.DONE: (None, "the gateway closed the connection as done"),
    CloseCode.UNSUPPORTED_FRAME: (ErrorCode.INVALID_MESSAGE, "the gateway does not take frames of this kind"),
    CloseCode.BAD_UTF8: (ErrorCode.INVALID_JSON, "the gateway received text that is not UTF-8"),
    CloseCode.TOO_BIG: (ErrorCode.TOO_LARGE, "a frame was over the gateway's limit"),
    CloseCode.PROTOCOL_ERROR: (ErrorCode.INVALID_MESSAGE, "the gateway saw a protocol error"),
    CloseCode.UNAUTHENTICATED: (ErrorCode.UNAUTHENTICATED, "not authenticated"),
    CloseCode.FORBIDDEN: (ErrorCode.FORBIDDEN, "not allowed"),
    CloseCode.NOT_FOUND: (ErrorCode.NOT_FOUND, "there is no such session"),
    CloseCode.SUPERSEDED: (ErrorCode.SUPERSEDED, "a newer publisher has taken over the session"),
    CloseCode.SESSION_ENDED: (ErrorCode.SESSION_ENDED, "the session has ended"),
}
"""The close codes after which a client stops; after any other it reconnects."""


def fresh(error: ClientError) -> ClientError:
    """An equal error without a traceback: one that is raised again and again would collect one for each time."""
    again = copy.copy(error)
    again.__cause__ = error.__cause__
    again.__suppress_context__ = True
    return again


def refusal(message: str, code: ErrorCode | None, *, status: int | None = None, close: int | None = None) -> Refused:
    """The error of a code, as the class that fits it best."""
    kind = _BY_CODE.get(code, Refused) if code is not None else Refused
    return kind(message, code=code, status=status, close_code=close)


def final_close(close_code: int, reason: str = "") -> Refused | None:
    """The error a close code stands for; None when the client should reconnect."""
    facts = _BY_CLOSE.get(close_code)
    if facts is None:
        return None
    code, meaning = facts
    said = f": {reason}" if reason else ""
    return refusal(f"{meaning} (close code {close_code}{said})", code, close=close_code)

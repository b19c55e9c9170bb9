"""The errors of the client library. Each is a ClientError, named so that a bot can decide what to do."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from turnwire.protocol.errors import CloseCode, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from turnwire.protocol.messages import NackItem, Session


class ClientError(Exception):
    """The base of all errors of this library."""


class Unreachable(ClientError):
    """No gateway answered, or it could not serve, for as long as the caller would wait. Try again later."""


class TokenError(Unreachable):
    """The function given as `token` failed, so that no request could be made.

    Publishers and subscriptions call it again; a Client raises this error.
    """


class InvalidEvent(ClientError, ValueError):
    """`send`, `post`, `signal` or `hint` got a value that is not JSON or exceeds a limit. Nothing was queued."""


class SpoolError(ClientError):
    """The file of a publisher's unsent events is unusable: locked, of another call, not a spool, or the disk fails.

    If `send` raises this, the event was not queued. `of_disk` is set if the disk is full, read-only or failing.
    """

    def __init__(self, message: str, *, of_disk: bool = False) -> None:
        super().__init__(message)
        self.of_disk = of_disk


class PublisherClosed(ClientError):
    """The publisher accepts nothing more: it was closed, or asked to end its session."""


class Refused(ClientError):
    """The gateway refused for good: the same attempt will fail again.

    `status` is the HTTP status of a refused request, `close_code` the close code of a closed connection, and `code` the
    protocol's error code. Each is None if unknown.
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
    """The session has ended and accepts no more events."""


class Superseded(Refused):
    """A newer publisher has taken over the session. This one must stop."""


class NotAllowed(Refused):
    """The client is not authenticated, or not allowed to do this."""


class EventsRejected(ClientError):
    """The gateway refused events (`nacks`, in the order sent). All others are stored.

    If `complete` raises this, the session has still ended; `session` is its final state.
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
    CloseCode.DONE: (None, "the gateway closed the connection because all work on it was done"),
    CloseCode.UNSUPPORTED_FRAME: (ErrorCode.INVALID_MESSAGE, "the gateway does not accept frames of this kind"),
    CloseCode.BAD_UTF8: (ErrorCode.INVALID_JSON, "the gateway received text that is not UTF-8"),
    CloseCode.TOO_BIG: (ErrorCode.TOO_LARGE, "a frame was over the gateway's limit"),
    CloseCode.PROTOCOL_ERROR: (ErrorCode.INVALID_MESSAGE, "the gateway saw a protocol error"),
    CloseCode.UNAUTHENTICATED: (ErrorCode.UNAUTHENTICATED, "not authenticated"),
    CloseCode.TOKEN_EXPIRED: (ErrorCode.UNAUTHENTICATED, "the token has expired, and there is no other"),
    CloseCode.FORBIDDEN: (ErrorCode.FORBIDDEN, "not allowed"),
    CloseCode.NOT_FOUND: (ErrorCode.NOT_FOUND, "there is no such session"),
    CloseCode.SUPERSEDED: (ErrorCode.SUPERSEDED, "a newer publisher has taken over the session"),
    CloseCode.SESSION_ENDED: (ErrorCode.SESSION_ENDED, "the session has ended"),
}
"""The close codes after which a client stops. After the expiry of its token, it stops only if it cannot get another
one.

After any other code, it reconnects.
"""


def fresh(error: ClientError) -> ClientError:
    """Return a copy without a traceback: an error raised repeatedly would collect one each time."""
    again = copy.copy(error)
    again.__cause__ = error.__cause__
    again.__suppress_context__ = True
    return again


def refusal(message: str, code: ErrorCode | None, *, status: int | None = None, close: int | None = None) -> Refused:
    """Return the error for a code, as an instance of the most specific class."""
    kind = _BY_CODE.get(code, Refused) if code is not None else Refused
    return kind(message, code=code, status=status, close_code=close)


def final_close(close_code: int, reason: str = "") -> Refused | None:
    """Return the error for a close code, or None if the client should reconnect."""
    facts = _BY_CLOSE.get(close_code)
    if facts is None:
        return None
    code, meaning = facts
    said = f": {reason}" if reason and reason != meaning else ""
    return refusal(f"{meaning} (close code {close_code}{said})", code, close=close_code)


class CommandRefused(Exception):
    """A command handler raises this to refuse a command. The text is sent with the answer."""

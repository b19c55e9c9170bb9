"""Error codes with their HTTP status, close code and retryable flag, and the exception that carries them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import NamedTuple


class CloseCode(IntEnum):
    """The WebSocket close codes that the gateway sends."""

    DONE = 1000
    GOING_AWAY = 1001
    UNSUPPORTED_FRAME = 1003
    BAD_UTF8 = 1007
    TOO_BIG = 1009
    INTERNAL = 1011
    RESTART = 1012
    TRY_LATER = 1013
    PROTOCOL_ERROR = 4400
    UNAUTHENTICATED = 4401
    TOKEN_EXPIRED = 4402
    FORBIDDEN = 4403
    NOT_FOUND = 4404
    NO_PONG = 4408
    SUPERSEDED = 4409
    SESSION_ENDED = 4410
    RATE_LIMITED = 4429


class Facts(NamedTuple):
    """The properties of an error code."""

    status: int
    """HTTP status."""
    close: CloseCode
    """Close code, if the error closes a connection."""
    retryable: bool


class ErrorCode(StrEnum):
    """Every `code` that an error, a nack or an error envelope may carry."""

    INVALID_JSON = "invalid_json"
    INVALID_MESSAGE = "invalid_message"
    INVALID_EVENT = "invalid_event"
    TOO_LARGE = "too_large"
    NOT_FOUND = "not_found"
    EVENT_CONFLICT = "event_conflict"
    SESSION_ENDED = "session_ended"
    SESSION_FULL = "session_full"
    SUPERSEDED = "superseded"
    NOT_ACCEPTED = "not_accepted"
    PUBLISHER_CONNECTED = "publisher_connected"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    INTERNAL = "internal"

    @property
    def facts(self) -> Facts:
        return FACTS[self]


FACTS: dict[ErrorCode, Facts] = {
    ErrorCode.INVALID_JSON: Facts(400, CloseCode.PROTOCOL_ERROR, False),
    ErrorCode.INVALID_MESSAGE: Facts(400, CloseCode.PROTOCOL_ERROR, False),
    ErrorCode.INVALID_EVENT: Facts(400, CloseCode.PROTOCOL_ERROR, False),
    ErrorCode.TOO_LARGE: Facts(413, CloseCode.TOO_BIG, False),
    ErrorCode.NOT_FOUND: Facts(404, CloseCode.NOT_FOUND, False),
    ErrorCode.EVENT_CONFLICT: Facts(409, CloseCode.PROTOCOL_ERROR, False),
    ErrorCode.SESSION_FULL: Facts(409, CloseCode.PROTOCOL_ERROR, False),
    ErrorCode.SESSION_ENDED: Facts(409, CloseCode.SESSION_ENDED, False),
    ErrorCode.SUPERSEDED: Facts(409, CloseCode.SUPERSEDED, False),
    ErrorCode.NOT_ACCEPTED: Facts(409, CloseCode.PROTOCOL_ERROR, False),
    ErrorCode.PUBLISHER_CONNECTED: Facts(409, CloseCode.PROTOCOL_ERROR, False),
    ErrorCode.UNAUTHENTICATED: Facts(401, CloseCode.UNAUTHENTICATED, False),
    ErrorCode.FORBIDDEN: Facts(403, CloseCode.FORBIDDEN, False),
    ErrorCode.RATE_LIMITED: Facts(429, CloseCode.RATE_LIMITED, True),
    ErrorCode.OVERLOADED: Facts(503, CloseCode.TRY_LATER, True),
    ErrorCode.STORAGE_UNAVAILABLE: Facts(503, CloseCode.TRY_LATER, True),
    ErrorCode.INTERNAL: Facts(500, CloseCode.INTERNAL, True),
}


MESSAGE_CHARS = 400
"""Maximum number of characters in a message, which may quote what a client sent."""


class TurnwireError(Exception):
    """An error with a code. `message` is text for people; `details` has one text for each bad field, or is None.

    `status` is the HTTP status, `headers` are added to the answer. `retry_after` is in seconds; None means the default.
    """

    headers: Mapping[str, str] = MappingProxyType({})
    retry_after: float | None = None

    def __init__(self, code: ErrorCode, message: str, details: list[str] | None = None) -> None:
        self.code = code
        self.status = code.facts.status
        self.message = _cut(message)
        self.details = None if details is None else [_cut(text) for text in details]
        super().__init__(self.message)

    @property
    def retryable(self) -> bool:
        return self.code.facts.retryable


def _cut(text: str) -> str:
    return text if len(text) <= MESSAGE_CHARS else text[: MESSAGE_CHARS - 1] + "…"


class InvalidJson(TurnwireError):
    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INVALID_JSON, message)


class InvalidMessage(TurnwireError):
    """A command, body or query value breaks the protocol."""

    def __init__(self, message: str, details: list[str] | None = None) -> None:
        super().__init__(ErrorCode.INVALID_MESSAGE, message, details)


class MalformedEvent(TurnwireError):
    """An event must not be stored: its id, payload or timestamp breaks a rule."""

    def __init__(self, message: str, details: list[str] | None = None) -> None:
        super().__init__(ErrorCode.INVALID_EVENT, message, details)


class TooLarge(TurnwireError):
    """Something exceeds a size limit, which the message names."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.TOO_LARGE, message)


class NoSuchSession(TurnwireError):
    def __init__(self, session_id: str) -> None:
        super().__init__(ErrorCode.NOT_FOUND, f"Session {session_id} not found")


class SessionErased(NoSuchSession):
    """The session that the caller means has certainly been erased. A new session may have the same id."""


class PublisherConnected(TurnwireError):
    """The session cannot be erased while a publisher is connected to it."""

    def __init__(self, session_id: str) -> None:
        super().__init__(
            ErrorCode.PUBLISHER_CONNECTED, f"session {session_id!r} has a publisher; force=true closes it and erases"
        )


class SessionHasEnded(TurnwireError):
    def __init__(self, session_id: str, ended_at: str | None) -> None:
        super().__init__(ErrorCode.SESSION_ENDED, f"session {session_id!r} ended at {ended_at} and takes no new events")


class SessionFull(TurnwireError):
    """The session has as many events as it may have."""

    def __init__(self, session_id: str, most: int) -> None:
        super().__init__(ErrorCode.SESSION_FULL, f"session {session_id!r} has its {most} events and takes no more")


class NotAccepted(TurnwireError):
    """No connected bot accepts the command."""

    def __init__(self, session_id: str, command: str) -> None:
        super().__init__(
            ErrorCode.NOT_ACCEPTED, f"no bot is connected to session {session_id!r} that accepts {command!r}"
        )


class SessionTaken(TurnwireError):
    """The session has a publisher with another credential, and this credential may not take the session over."""

    def __init__(self, session_id: str) -> None:
        super().__init__(ErrorCode.SUPERSEDED, f"session {session_id!r} has a publisher with another credential")


class Overloaded(TurnwireError):
    """A bound is reached. `limit` names it, or is None if the client did not cause it."""

    def __init__(self, message: str, limit: str | None = "overloaded") -> None:
        super().__init__(ErrorCode.OVERLOADED, message)
        self.limit = limit


class StorageUnavailable(TurnwireError):
    """The store did not answer: the operation may or may not have been carried out."""

    def __init__(self, message: str = "the storage is away; try again") -> None:
        super().__init__(ErrorCode.STORAGE_UNAVAILABLE, message)


class StorageRefused(StorageUnavailable):
    """The database answers but refuses. A retry helps only after an operator has removed the `reason`.

    Logs and /health state the reason and the remedy. Clients do not see them.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("the storage refuses to work; the operator of this gateway can see why in /health")
        self.reason = reason


class LogHole(StorageUnavailable):
    """A position of a log that must hold an event is empty: either the server that was read lags behind, or the event
    is lost."""

    def __init__(self, session_id: str, seq: int) -> None:
        super().__init__(f"the event at seq={seq} of session {session_id!r} cannot be read; try again")
        self.session_id = session_id
        self.seq = seq


class LogRolledBack(LogHole):
    """The acked head of a session's log is certainly gone, and not just hidden by a server that lags behind.

    The database was restored from an older copy, or acknowledged a write that it did not keep.
    """


class RefusedSession(TurnwireError):
    """The database will always refuse this change of this session's document."""

    def __init__(self, session_id: str, reason: str) -> None:
        super().__init__(ErrorCode.INVALID_MESSAGE, f"the database refuses session {session_id!r}: {reason}")
        self.reason = reason

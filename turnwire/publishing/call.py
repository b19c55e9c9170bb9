"""Checks what a publisher is for, and the end that it requests, because a gateway's refusal would cost a whole call's
log."""

from __future__ import annotations

from msgspec import Struct

from turnwire.address import Address
from turnwire.connecting.tokens import Token
from turnwire.protocol.codec import JSON
from turnwire.protocol.limits import Limits
from turnwire.protocol.messages import Complete, FinalStatus, JsonObject
from turnwire.protocol.paging import MAX_LANGUAGE_CHARS
from turnwire.protocol.salvage import UNDECODABLE
from turnwire.protocol.values import object_fault

MAX_REASON = 256


class Call(Struct, frozen=True):
    """The session that a publisher is for, its gateway, and the limits on the time without a gateway, in seconds.

    Raises ValueError for values that every gateway would refuse, because `post` would lose a whole call to them.
    """

    address: Address
    session_id: str
    language: str | None
    metadata: JsonObject | None
    token: Token | None
    connect_timeout: float | None
    give_up_after: float | None

    def __post_init__(self) -> None:
        check_text(self.session_id, "session id")
        if self.session_id in (".", ".."):
            raise ValueError(f"the session id must not be {self.session_id}, which has a meaning of its own in a path")
        if self.metadata is not None and self.language is None:
            raise ValueError("metadata is for a new session, which needs a language")
        if self.language is not None:
            check_text(self.language, "language", MAX_LANGUAGE_CHARS)
        if self.metadata is not None:
            check_metadata(self.metadata)


def end_of_session(status: FinalStatus, reason: str | None) -> Complete:
    """Return the request for a session's end. Raises ValueError for values that every gateway would refuse."""
    if status not in ("completed", "failed"):
        raise ValueError(f"the status must be completed or failed, not {status!r}")
    if reason is not None:
        check_text(reason, "reason", MAX_REASON)
    return Complete(status, reason)


def check_text(text: object, what: str, most: int | None = None) -> None:
    """Raise ValueError, naming `what`, for a value that is not text, and for text that is empty, too long or not valid
    Unicode."""
    if not isinstance(text, str):
        raise ValueError(f"the {what} must be a string, not {type(text).__name__}")
    if most is not None and not 1 <= len(text) <= most:
        raise ValueError(f"the {what} must have 1 to {most} characters, not {len(text)}")
    if not text:
        raise ValueError(f"the {what} must not be empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the {what} must be valid Unicode, without lone surrogates") from None


def check_metadata(metadata: object) -> None:
    """Raise ValueError, naming the value, for metadata that is not a JSON object."""
    if type(metadata) is not dict:
        raise ValueError(f"metadata must be a dict, not {type(metadata).__name__}")
    fault = object_fault(metadata, Limits().depth)
    if fault is not None:
        raise ValueError(f"metadata{fault}")
    try:
        JSON.encode_value(metadata)
    except UNDECODABLE as error:
        raise ValueError(f"metadata cannot be encoded: {error}") from None

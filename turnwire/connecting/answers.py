"""Reading a gateway's error envelope: its text and its code."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from turnwire.protocol.errors import ErrorCode
from turnwire.protocol.salvage import UNDECODABLE


class _Envelope(Struct):
    message: str | list[str]
    code: str | None = None


def said(body: bytes, otherwise: str) -> tuple[str, ErrorCode | None]:
    """Return text and code of an error answer, or `otherwise` and None for a body that is not an envelope.

    A code that only a newer gateway knows becomes None.
    """
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
    except UNDECODABLE:
        return otherwise, None
    text = envelope.message if isinstance(envelope.message, str) else "; ".join(envelope.message)
    return text, known_code(envelope.code)


def known_code(code: str | None) -> ErrorCode | None:
    try:
        return None if code is None else ErrorCode(code)
    except ValueError:
        return None

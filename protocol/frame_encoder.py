"""Encoding messages as frames of bytes, in one of the two formats."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from turnwire.protocol.messages import Message, Shape, Summary
from turnwire.protocol.values import PackedObject, unpacked


class _EventsFrame(Shape, tag_field="type", tag="events"):
    ref: str
    session_id: str
    events: Raw


class _SessionFrame(Shape, tag_field="type", tag="session"):
    ref: str
    session: Raw
    summary: Raw | UnsetType = UNSET


class _SessionsFrame(Shape, tag_field="type", tag="sessions"):
    ref: str
    sessions: list[Raw]
    summaries: dict[str, Summary] | UnsetType = UNSET


class _SignalFrame(Shape, tag_field="type", tag="signal"):
    ref: str
    session_id: str
    key: str
    payload: Raw


def plain_value(value: Any) -> object:
    """Return a database driver's integer, such as a BSON Int64, as an int, and a packed object as it is decoded.

    Raises TypeError for other types.
    """
    if isinstance(value, int):
        return int(value)
    if type(value) is PackedObject:
        return unpacked(value)
    raise TypeError(f"cannot encode a {type(value).__name__}")


def _json_value(value: Any) -> object:
    """Return the same, with the text of a packed object for an encoder of JSON to copy."""
    return Raw(value.text) if type(value) is PackedObject else plain_value(value)


_C2: Final = 0xC2
_E2: Final = 0xE2
"""First bytes of the line breaks, as integers: `in` finds these several times faster than longer bytes."""


def one_line(encoded: bytes) -> bytes:
    """Return the encoded JSON value as one line for any reader that splits by lines.

    JSON allows U+0085, U+2028 and U+2029 inside a text, and many such readers split there. Escapes replace them.
    """
    if encoded.isascii():
        return encoded
    if _C2 in encoded:
        encoded = encoded.replace(b"\xc2\x85", b"\\u0085")
    if _E2 in encoded:
        encoded = encoded.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return encoded


class FrameEncoder:
    """The encoder of one subprotocol's frames. Stateless."""

    def __init__(self, format: Any) -> None:
        self._encoder = format.Encoder(enc_hook=_json_value if format is msgspec.json else plain_value)

    def encode(self, message: Message | Shape) -> bytes:
        frame: bytes = self._encoder.encode(message)
        return frame

    def encode_value(self, value: object) -> bytes:
        """Encode a part of a message, to be put into frames by the `…_frame` methods."""
        encoded: bytes = self._encoder.encode(value)
        return encoded

    def events_frame(self, ref: str, session_id: str, events: bytes) -> bytes:
        """Return an `events` push around an encoded list of events."""
        frame: bytes = self._encoder.encode(_EventsFrame(ref, session_id, Raw(events)))
        return frame

    def session_frame(self, ref: str, session: bytes, summary: bytes | None = None) -> bytes:
        """Return a `session` push around an encoded session and, if given, an encoded summary."""
        added = UNSET if summary is None else Raw(summary)
        frame: bytes = self._encoder.encode(_SessionFrame(ref, Raw(session), added))
        return frame

    def sessions_frame(self, ref: str, sessions: Iterable[bytes], summaries: dict[str, Summary] | None = None) -> bytes:
        """Return a `sessions` push around encoded sessions, with summaries if they are given."""
        added = UNSET if summaries is None else summaries
        frame: bytes = self._encoder.encode(_SessionsFrame(ref, [Raw(each) for each in sessions], added))
        return frame

    def signal_frame(self, ref: str, session_id: str, key: str, payload: bytes) -> bytes:
        """Return a `signal` push around an encoded payload."""
        frame: bytes = self._encoder.encode(_SignalFrame(ref, session_id, key, Raw(payload)))
        return frame

"""Letters between gateways, and the topics they are sent to."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct, field

from turnwire.protocol.frame_encoder import plain_value
from turnwire.protocol.messages import JsonObject, Session, SessionStatus, Summary

VERSION: Final = 1
"""Letters of another version are ignored: gateways of different releases find each other's events by polling."""
EVERYBODY: Final = ""
"""The topic that all gateways subscribe to. Each gateway has another one with its own name."""


class Wants(Struct, omit_defaults=True):
    """What a gateway wants to be told from now on."""

    whole: bool = False
    """Whether `watched` is complete. If not, it has only the additions."""
    watched: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Sessions that the gateway no longer watches."""
    feed: bool = False
    summaries: bool = False


class SignalNews(Struct, array_like=True):
    """A signal, with the epoch of its publisher."""

    session_id: str
    epoch: int
    key: str
    payload: JsonObject


class SessionNews(Struct, array_like=True):
    """A change of a session, for the feed. `statuses`: those the session has had since the last change."""

    session: Session
    statuses: list[SessionStatus]
    summary: Summary | None = None


class Letter(Struct, omit_defaults=True):
    """A message from one gateway to the subscribers of a topic. A lost letter costs time, but no data."""

    sender: str
    topic: str
    number: int
    """The number of this letter among the sender's letters to this topic, starting at 1. Dropped letters count."""
    version: int = VERSION
    beat: dict[str, int] | None = None
    """The number of the last letter to each topic. Sent twice a second."""
    asks: bool = False
    """Whether the sender asks for everything that the reader wants."""
    leaving: bool = False
    wants: Wants | None = None
    heads: dict[str, int] = field(default_factory=dict)
    """sessionId → the head of its log."""
    claims: dict[str, int] = field(default_factory=dict)
    """sessionId → the epoch of its newest publisher."""
    ends: list[str] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    """Sessions whose metadata, language or commands are new."""
    silences: dict[str, int] = field(default_factory=dict)
    """sessionId → the epoch of a publisher that is gone. It is read before the signals of its successor."""
    signals: list[SignalNews] = field(default_factory=list)
    feed: list[SessionNews] = field(default_factory=list)


_encoder = msgspec.msgpack.Encoder(enc_hook=plain_value)
_decoder = msgspec.msgpack.Decoder(Letter)


def encode(letter: Letter) -> bytes:
    return _encoder.encode(letter)


def decode(data: bytes) -> Letter | None:
    """Return the letter; None for anything else, such as a letter of another version."""
    try:
        letter = _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return letter if letter.version == VERSION else None

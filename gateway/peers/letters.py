"""What one gateway tells others: letters, and the topics they are sent to."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct, field

from turnwire.protocol.messages import JsonObject, Session, SessionStatus, Summary

VERSION: Final = 1
"""Letters of another version are not read: gateways of two releases then find each other's events by polling."""
EVERYBODY: Final = ""
"""The topic that all gateways hear. Each gateway has one more, of its own name."""


class Wants(Struct, omit_defaults=True):
    """What a gateway wants to hear of from now on."""

    whole: bool = False
    """Whether this is all it wants; else what is new."""
    watched: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Sessions it watches no more."""
    feed: bool = False
    summaries: bool = False


class SignalNews(Struct, array_like=True):
    """A signal; `epoch` is its publisher's."""

    session_id: str
    epoch: int
    key: str
    payload: JsonObject


class SessionNews(Struct, array_like=True):
    """A change of a session, as the feed has it; `statuses` are those it has had since the last one."""

    session: Session
    statuses: list[SessionStatus]
    summary: Summary | None = None


class Letter(Struct, omit_defaults=True):
    """All that a gateway has to tell at a moment to those who hear a topic. Losing one loses time, nothing else."""

    sender: str
    topic: str
    number: int
    """Counts the letters of this sender to this topic, from 1 on, those that were dropped included."""
    version: int = VERSION
    beat: dict[str, int] | None = None
    """Sent twice a second: the number of the last letter to each topic."""
    asks: bool = False
    """Whether the sender wants to be told all that the reader wants."""
    leaving: bool = False
    wants: Wants | None = None
    heads: dict[str, int] = field(default_factory=dict)
    """sessionId → how far its log is."""
    claims: dict[str, int] = field(default_factory=dict)
    """sessionId → the epoch of its newest publisher."""
    ends: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    """Sessions whose metadata, language or commands are new."""
    signals: list[SignalNews] = field(default_factory=list)
    feed: list[SessionNews] = field(default_factory=list)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Letter)


def encode(letter: Letter) -> bytes:
    return _encoder.encode(letter)


def decode(data: bytes) -> Letter | None:
    """None for what is not a letter of this version."""
    try:
        letter = _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return letter if letter.version == VERSION else None

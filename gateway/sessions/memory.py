"""Estimates how much memory the live sessions take, for the bound on it."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from turnwire.gateway.live.state import SessionState
from turnwire.protocol.messages import JsonObject
from turnwire.protocol.values import is_packed, json_text
from turnwire.store.sessions import SessionRecord

_SESSION_BYTES: Final = 6 * 1024
"""Bytes of a session without metadata and events, including its publisher's socket."""
_EVENT_BYTES: Final = 130
"""Bytes of an event in the ledger, which keeps every id."""
_UTTERANCE_BYTES: Final = 300
_VALUE_BYTES: Final = 60
_CONTAINER_BYTES: Final = 200
"""Bytes of an array or object of decoded metadata. Metadata full of small ones takes 20 times its length."""


def metadata_bytes(metadata: JsonObject) -> int:
    """Return about how many bytes metadata takes."""
    if not metadata:
        return 0
    text = json_text(metadata)
    if is_packed(metadata):
        return len(text) + _CONTAINER_BYTES
    values = text.count(b",") + text.count(b":")
    containers = text.count(b"[") + text.count(b"{")
    return 2 * len(text) + values * _VALUE_BYTES + containers * _CONTAINER_BYTES


def size_of(record: SessionRecord) -> int:
    """Return about how many bytes a session takes when it comes into memory."""
    return _SESSION_BYTES + metadata_bytes(record.metadata)


class _Weight(Struct):
    metadata: JsonObject
    metadata_bytes: int
    size: int


class Memory:
    """The sizes of the live sessions, and their sum. Owned by LiveSessions."""

    def __init__(self, most: int) -> None:
        """`most` is in bytes; 0 means no limit."""
        self._most = most
        self.size = 0
        """The sum in bytes, as of the last weighing of each session."""
        self._weights: dict[str, _Weight] = {}

    def has_room(self, size: int) -> bool:
        """Return whether a session of this many bytes fits in."""
        return not self._most or self.size + size <= self._most

    def enter(self, record: SessionRecord) -> None:
        """Count a session that has come into memory."""
        self.leave(record.session_id)
        size = size_of(record)
        self._weights[record.session_id] = _Weight(record.metadata, size - _SESSION_BYTES, size)
        self.size += size

    def leave(self, session_id: str) -> None:
        """Stop counting a session that has left memory."""
        weight = self._weights.pop(session_id, None)
        if weight is not None:
            self.size -= weight.size

    def weigh(self, state: SessionState) -> None:
        """Estimate the size of a session again, because its log, its figures and its metadata grow."""
        weight = self._weights.get(state.session_id)
        if weight is None:
            return
        metadata = state.record.metadata
        if weight.metadata is not metadata:
            weight.metadata, weight.metadata_bytes = metadata, metadata_bytes(metadata)
        size = _SESSION_BYTES + weight.metadata_bytes
        if state.log.ledger is not None:
            size += state.log.ledger.head * _EVENT_BYTES
        if state.conversation is not None:
            size += len(state.conversation) * _UTTERANCE_BYTES
        self.size += size - weight.size
        weight.size = size

"""What other gateways have reported about their sessions, within a bound on memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from turnwire.gateway.sessions.memory import metadata_bytes
from turnwire.gateway.watching.feed import Change
from turnwire.protocol.messages import Session
from turnwire.protocol.values import packed

MOST: Final = 20_000
MOST_BYTES: Final = 64 * 1024 * 1024
_SESSION_BYTES: Final = 2 * 1024
"""A session with its summary, without metadata."""


class _Kept(Struct):
    change: Change
    size: int


class ReportedSessions:
    """Sessions at other gateways, each as it was last reported. Those reported longest ago are dropped first."""

    def __init__(self, *, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._kept: dict[str, _Kept] = {}
        self.size = 0
        """Approximate size in memory, in bytes."""

    def get(self, session_id: str) -> Change | None:
        """Return what was reported of a session; None if nothing is kept."""
        kept = self._kept.get(session_id)
        return None if kept is None else kept.change

    def keep(self, change: Change) -> None:
        """Keep the newest report, and drop the session's previous one."""
        change.session.metadata = packed(change.session.metadata)
        session_id = change.session.session_id
        self.drop(session_id)
        kept = _Kept(Change(change.session, change.summary), _size_of(change.session))  # without the encoded frames
        self._kept[session_id] = kept
        self.size += kept.size
        while len(self._kept) > self._most or self.size > self._most_bytes:
            self.drop(next(iter(self._kept)))

    def drop(self, session_id: str) -> None:
        kept = self._kept.pop(session_id, None)
        if kept is not None:
            self.size -= kept.size

    def __iter__(self) -> Iterator[Session]:
        return (kept.change.session for kept in self._kept.values())

    def __len__(self) -> int:
        return len(self._kept)


def _size_of(session: Session) -> int:
    return _SESSION_BYTES + metadata_bytes(session.metadata)

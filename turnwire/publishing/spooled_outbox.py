"""An outbox backed by a file, so that the next process sends the unanswered events."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct

from turnwire.errors import SpoolError
from turnwire.protocol.codec import CODECS, Codec
from turnwire.protocol.messages import EventIn, JsonObject, Limits, Shape
from turnwire.protocol.salvage import UNDECODABLE
from turnwire.publishing.outbox import Entry, Outbox
from turnwire.publishing.spool_file import SpoolFile
from turnwire.publishing.spool_records import SpoolOwner, recover

log = logging.getLogger("turnwire")

MAX_SPOOL = 256 * 1024 * 1024
"""Maximum number of bytes of events that may wait in one file. They are in memory too."""


class SpooledOutbox(Outbox):
    """An Outbox whose entries are in a file from `add` until they leave. Open it before use, and release it after.

    The events in the file at opening come first, even if they exceed `capacity`. While the disk fails, `add_anyhow`
    queues in memory instead; what is in memory alone is written once the disk works again.
    """

    def __init__(
        self,
        capacity: int,
        path: Path,
        *,
        gateway: str,
        session_id: str,
        codec: Codec,
        language: str | None = None,
        metadata: JsonObject | None = None,
        needed: bool = True,
    ) -> None:
        """With `needed=False`, a disk that fails at opening is logged, and everything is in memory alone."""
        super().__init__(capacity)
        self._codec = codec
        self._owner = SpoolOwner(gateway, session_id, codec.subprotocol, language, metadata)
        self._file = SpoolFile(path, self._owner)
        self._needed = needed
        self._unopened: str | None = None
        """Why the file could not be opened."""
        self._in_trouble = False
        """Whether the last event that was queued is in memory alone."""

    @property
    def has_room(self) -> bool:
        """Whether the file has room. It accepts more than `capacity`, up to MAX_SPOOL bytes."""
        return self._file.live < MAX_SPOOL

    @property
    def kept_in(self) -> str | None:
        return None if self._in_trouble else str(self._file.path)

    def open(self) -> None:
        """Open the file. Raises SpoolError if it is in use, of another call or no spool, or if the disk fails."""
        try:
            self._open()
        except SpoolError as error:
            if self._needed or not error.of_disk:
                raise
            self._unopened = str(error)
            self._tell_trouble(error)

    def _open(self) -> None:
        found = self._file.open()
        try:
            if found.events and found.owner is not None:
                self._check_owner(found.owner, len(found.events))
            events = found.events
            if found.owner != self._owner or found.damaged:
                if found.owner is not None:
                    events = [_recoded(event, CODECS[found.owner.encoding], self._codec) for event in events]
                self._file.replace(events)
        except BaseException:
            self._file.release()
            raise
        self._waiting.extend(Entry(_event_id(event, self._codec), event) for event in events)

    def release(self) -> None:
        """Release the file for other processes. Remove it if it holds no event."""
        self._file.release()

    def add(self, entry: Entry) -> None:
        """Queue an event. Raises OverflowError or SpoolError, and then queues nothing."""
        self._check_room()
        if self._unopened is not None:
            raise SpoolError(self._unopened, of_disk=True)
        self._file.add(entry.data)
        super().add(entry)
        if self._in_trouble:
            self._in_trouble = False
            log.warning("the spool %r can be written again", self.kept_in)
            self._write_anew()

    def add_anyhow(self, entry: Entry) -> None:
        """Queue an event, in memory alone if the disk fails. Raises OverflowError if there is no room."""
        try:
            self.add(entry)
        except SpoolError as error:
            if self.is_full:
                raise OverflowError(f"{error}, and {len(self)} events wait in memory already") from None
            if not self._in_trouble:
                self._tell_trouble(error)
            entry.in_memory_only = True
            super().add(entry)

    def _tell_trouble(self, error: SpoolError) -> None:
        self._in_trouble = True
        log.warning("%s; events are only in memory, and lost if this process is killed", error)

    def answered(self, event_id: str | None, seq: int | None = None) -> Entry:
        entry = super().answered(event_id, seq)
        self._note_left([entry])
        return entry

    def reconnected(self, last_seq: int, last_event_id: str | None) -> list[tuple[Entry, int]]:
        stored = super().reconnected(last_seq, last_event_id)
        if stored:
            self._note_left([entry for entry, _ in stored])
        return stored

    def take_out(self, event_ids: Collection[str]) -> list[Entry]:
        taken = super().take_out(event_ids)
        if taken:
            self._write_anew()
        return taken

    def _note_left(self, entries: Iterable[Entry]) -> None:
        in_file = [entry.data for entry in entries if not entry.in_memory_only]
        if in_file:
            self._file.left(in_file)
        if self._file.is_wasteful:
            self._write_anew()

    def _write_anew(self) -> None:
        """Replace the file's content. A failure is harmless: the next process sends some events again."""
        if self._unopened is not None:
            return
        try:
            self._file.replace(entry.data for entry in self)
        except SpoolError as error:
            log.warning("%s", error)
            return
        for entry in self:
            entry.in_memory_only = False

    def _check_owner(self, found: SpoolOwner, events: int) -> None:
        ours = (self._owner.session_id, self._owner.gateway)
        if (found.session_id, found.gateway) != ours:
            raise SpoolError(
                f"the spool {str(self._file.path)!r} holds {events} unsent events of session {found.session_id!r} at "
                f"{found.gateway}, and cannot be used for session {ours[0]!r} at {ours[1]}"
            )
        if found.encoding not in CODECS:
            raise SpoolError(f"the spool {str(self._file.path)!r} is in the unknown encoding {found.encoding!r}")


class SpooledCall(Struct, frozen=True):
    """The content of a spool: the events without an answer, in order."""

    gateway: str
    session_id: str
    events: list[EventIn]
    language: str | None = None
    """The language of the session, if it is new; None if it must exist."""
    metadata: JsonObject | None = None
    damaged: int = 0
    """The number of unreadable bytes. A publisher that opens the spool moves them to a file beside it."""


def read_spool(path: str | Path) -> SpooledCall | None:
    """Read a spool, in use or not. Return None if nothing was written yet. Raises SpoolError if it is not a spool."""
    try:
        found = recover(Path(path).read_bytes())
        if found.owner is None:
            return None
        codec = CODECS[found.owner.encoding]
    except (OSError, KeyError, *UNDECODABLE) as error:
        raise SpoolError(f"the spool {str(path)!r} cannot be read: {error}") from None
    owner, events = found.owner, [_event(event, codec) for event in found.events]
    damaged = sum(map(len, found.damaged))
    return SpooledCall(owner.gateway, owner.session_id, events, owner.language, owner.metadata, damaged)


class _EventId(Shape):
    event_id: str


def _event_id(data: bytes, codec: Codec) -> str:
    return codec.decode_body(data, _EventId, Limits()).event_id


def _event(data: bytes, codec: Codec) -> EventIn:
    return codec.decode_body(data, EventIn, Limits())


def _recoded(data: bytes, old: Codec, new: Codec) -> bytes:
    """Convert the same JSON value to another encoding."""
    return data if old is new else new.encode_value(old.decode_body(data, dict[str, Any], Limits()))

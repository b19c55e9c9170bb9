"""The file of a backup: gzipped NDJSON. A line with the time of its beginning, the sessions, and a line with a
checksum.

The file is a series of gzip members, each of which ends with the end of a line. So a file that was cut short can be
completed after its last whole member, and any tool can read it.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator
from typing import IO, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

FORMAT: Final = 1
_CHUNK: Final = 64 * 1024
_HEAD: Final = 32 * 1024
"""The number of characters of a line that are enough to tell its kind."""
_SESSION: Final = re.compile(rb'\{"at":\{"cursor":"([^"\\]+)","count":(\d+)\}')
_UNREADABLE: Final = b',"unreadable":'
"""The key that follows in the line of a session whose events the gateway could not read."""
_TEXT: Final = (b"{", b"[", b"\n")
"""How an export begins, and other text that may be taken for a backup."""
_GZIP: Final = 31
"""The number by which zlib knows its format with a gzip header."""


class BackupFault(Exception):
    """A file that cannot be restored. The text gives the reason."""


class Begin(Struct):
    """The first line: the version of this format, and a wire time before which everything acked is in the file."""

    backup: int
    begun_at: str


class BackupEnd(Struct):
    """The value of `end` in the last line. `sha256` is the checksum of all lines before it."""

    sessions: int
    events: int = 0
    sha256: str = ""


class _Line(Struct):
    end: BackupEnd
    backup: int | UnsetType = UNSET


class Tally:
    """Counts the lines of a backup and adds up their checksum as they pass, in pieces of any size."""

    def __init__(self) -> None:
        self.begin: Begin | None = None
        self.sessions = self.events = self.unreadable = 0
        self.cursor: str | None = None
        """The place of the last whole session."""
        self.end: BackupEnd | None = None
        self._sha = hashlib.sha256()
        self._head: bytes | None = b""
        """The beginning of a line whose kind is not known yet; None inside a line."""
        self.line = 0
        """The number of the session whose line is passing, starting at 1; 0 for none."""
        self._count = 0
        """The number of events of that session."""
        self._place: str | None = None
        self._is_unreadable = False

    def copy(self) -> Tally:
        """Return a copy in the present state. Call this only between two lines."""
        other = Tally()
        other.begin, other.sessions, other.events = self.begin, self.sessions, self.events
        other.unreadable = self.unreadable
        other.cursor, other.end, other._sha = self.cursor, self.end, self._sha.copy()
        return other

    @property
    def sha256(self) -> str:
        return self._sha.hexdigest()

    @property
    def between_lines(self) -> bool:
        return self._head == b""

    def take(self, data: bytes) -> Iterator[bytes]:
        """Yield the lines of these bytes, or parts of them, apart from the last line of the backup.

        Raises BackupFault for a line that no backup has.
        """
        *lines, rest = data.split(b"\n")
        for line in lines:
            yield from self._part(line + b"\n")
        if rest:
            yield from self._part(rest)

    def _part(self, part: bytes) -> Iterator[bytes]:
        ends = part.endswith(b"\n")
        if self._head is not None:
            part = self._head + part
            self._head = part
            if not ends and len(part) < _HEAD:
                return
            self._head = None
            if self._is_last(part):
                self._head = b""
                return
        self._sha.update(part)
        if ends:
            self._head = b""
            if self._place is not None:
                self.sessions, self.events, self.cursor = self.sessions + 1, self.events + self._count, self._place
                self.unreadable += self._is_unreadable
        yield part

    def _is_last(self, head: bytes) -> bool:
        """Determine the kind of the line from its beginning. Return whether it is the last line of the backup."""
        if self.end is not None:
            raise BackupFault("it goes on after its end")
        found = _SESSION.match(head)
        self._place = None if found is None else found[1].decode()
        self.line = 0 if found is None else self.sessions + 1
        if found is not None and self.begin is not None:
            self._count, self._is_unreadable = int(found[2]), head.startswith(_UNREADABLE, found.end())
            return False
        try:
            if self.begin is None:
                self.begin = msgspec.json.decode(head, type=Begin)
                return False
            self.end = msgspec.json.decode(head, type=_Line).end
        except msgspec.DecodeError:
            raise BackupFault("it has a line that does not belong in a backup") from None
        return True


def unpacked(file: IO[bytes]) -> Iterator[tuple[bytes, int | None]]:
    """Yield the unpacked content in pieces, and after each gzip member an empty piece with the place of its end.

    Raises BackupFault if the file is cut short or damaged.
    """
    packed = file.read(_CHUNK)
    if packed[:1] in _TEXT:
        raise BackupFault("it is not gzipped, as a backup is; `turnwire import` reads NDJSON")
    while packed:
        member = zlib.decompressobj(_GZIP)
        while not member.eof:
            if not packed:
                raise BackupFault("it is cut short")
            try:
                data = member.decompress(packed, _CHUNK)
            except zlib.error as error:
                raise BackupFault(f"it is damaged ({error})") from None
            packed = member.unused_data or member.unconsumed_tail or file.read(_CHUNK)
            yield data, None
        yield b"", file.tell() - len(packed)


class Packer:
    """Compresses bytes into gzip members."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._member = zlib.compressobj(wbits=_GZIP)
        self.size = 0
        """The number of bytes that have been put into the present member."""

    def put(self, data: bytes) -> None:
        self.size += len(data)
        self._file.write(self._member.compress(data))

    def end_member(self) -> int:
        """End the member, and return the place of its end."""
        if self.size:
            self._file.write(self._member.flush())
            self._member, self.size = zlib.compressobj(wbits=_GZIP), 0
        return self._file.tell()

    def drop_member(self, place: int) -> None:
        """Remove everything after this place, which is the end of a member."""
        self._member, self.size = zlib.compressobj(wbits=_GZIP), 0
        self._file.seek(place)
        self._file.truncate()

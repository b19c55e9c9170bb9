"""Writes the file of a backup. A file that was cut short for any reason can be completed."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO, Final

import msgspec

from turnwire.commands.moving.backup_format import FORMAT, BackupEnd, BackupFault, Begin, Packer, Tally, unpacked

_MEMBER: Final = 1024 * 1024
"""The number of bytes after which a gzip member ends with the next line: about this many bytes are fetched again after
trouble.
"""


class BackupWriter:
    """A backup in progress in `FILE.part`, which becomes FILE once it is complete.

    All methods raise OSError.
    """

    def __init__(self, path: Path, file: IO[bytes], tally: Tally, place: int) -> None:
        self.tally = tally
        """The tally of what has passed, up to the last whole line."""
        self._path = path
        self._file = file
        self._packer = Packer(file)
        self._safe = tally.copy(), place
        """The tally and the place at the end of the last whole member."""

    @classmethod
    def begin(cls, path: Path, now: str) -> BackupWriter:
        """`now` is a wire time. Raises BackupFault if another command writes this backup."""
        return cls._begin(path, _opened(path, os.O_CREAT), now)

    @classmethod
    def _begin(cls, path: Path, file: IO[bytes], now: str) -> BackupWriter:
        writer = cls(path, file, Tally(), 0)
        writer.rewind()
        writer.take(msgspec.json.encode(Begin(FORMAT, now)) + b"\n")
        writer._end_member()
        return writer

    @classmethod
    def go_on(cls, path: Path, now: str) -> BackupWriter:
        """Continue the file, or begin anew if nothing is in it yet.

        Raises BackupFault if it is not a backup, or if another command writes it.
        """
        file = _opened(path)
        if not os.fstat(file.fileno()).st_size:
            return cls._begin(path, file, now)
        tally, safe = Tally(), (Tally(), 0)
        try:
            for data, place in unpacked(file):
                for _ in tally.take(data):
                    pass  # only counts and checks
                if place is not None and tally.end is None:
                    safe = tally.copy(), place
        except BackupFault:
            pass  # what follows the last whole member is fetched again
        if safe[0].begin is None:
            file.close()
            raise BackupFault("it is not the beginning of a backup")
        writer = cls(path, file, *safe)
        writer.rewind()
        return writer

    @property
    def begun_at(self) -> str:
        return "" if self.tally.begin is None else self.tally.begin.begun_at

    @property
    def complete(self) -> bool:
        """Whether the gateway has said that there are no more sessions."""
        return self.tally.end is not None

    def take(self, data: bytes) -> None:
        """Write bytes as the gateway sent them. Raises BackupFault for bytes that no gateway sends."""
        for part in self.tally.take(data):
            self._packer.put(part)
            if self._packer.size >= _MEMBER and self.tally.between_lines:
                self._end_member()

    def _end_member(self) -> None:
        self._safe = self.tally.copy(), self._packer.end_member()
        self._file.flush()  # --resume finds it even after a kill

    def rewind(self) -> None:
        """Drop what has arrived since the last whole member, because it is fetched again."""
        tally, place = self._safe
        self.tally = tally.copy()
        self._packer.drop_member(place)

    def finish(self) -> int:
        """Complete the file and make it durable. Return its size in bytes."""
        tally = self.tally
        end = BackupEnd(tally.sessions, tally.events, tally.sha256)
        self._packer.put(msgspec.json.encode({"end": end}) + b"\n")
        size = self._packer.end_member()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        _part_of(self._path).replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return size

    def close(self) -> None:
        """Keep the whole members, so that the backup can be continued later."""
        if not self._file.closed:
            self.rewind()
            self._file.close()


def _opened(path: Path, flags: int = 0) -> IO[bytes]:
    """Open the unfinished file, and lock it for as long as it is open. `flags`: O_CREAT to make it if it is missing."""
    part = _part_of(path)
    while True:
        file = os.fdopen(os.open(part, os.O_RDWR | os.O_CLOEXEC | flags, 0o666), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file.fileno()), part.stat()):
                return file
        except FileNotFoundError:
            pass  # as if it were another file now: open it again
        except BlockingIOError:
            file.close()
            raise BackupFault("another `turnwire backup` is writing it") from None
        except BaseException:
            file.close()
            raise
        file.close()  # another command has just completed this file


def _part_of(path: Path) -> Path:
    return path.with_name(path.name + ".part")

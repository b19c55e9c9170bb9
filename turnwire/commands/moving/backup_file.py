"""A complete backup, read as the lines of an import."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import IO

from turnwire.commands.console import fail
from turnwire.commands.moving.backup_format import FORMAT, BackupEnd, BackupFault, Begin, Tally, unpacked


class BackupFile:
    """The sessions of a backup. They can be read several times."""

    def __init__(self, file: IO[bytes], name: str, begin: Begin, end: BackupEnd) -> None:
        self.name = name
        self.begin = begin
        self.end = end
        self._file = file

    @classmethod
    def open(cls, path: Path, read: Callable[[int], None] = lambda _: None) -> BackupFile:
        """Read the whole file, and call `read` with the number of bytes read so far. Exits unless the file is
        complete."""
        try:
            file = path.open("rb")
            try:
                begin, end = check_whole(file, read)
            except BackupFault as fault:
                file.close()
                raise fail(f"{path} cannot be restored: {fault}; nothing has been changed") from None
        except OSError as error:
            raise fail(f"cannot read {path}: {error.strerror}") from None
        return cls(file, str(path), begin, end)

    async def chunks(self, after: int) -> AsyncIterator[bytes]:
        """Read the sessions in pieces, skipping the first `after` of them."""
        for part in self._sessions(after):
            yield part

    def _sessions(self, after: int) -> Iterator[bytes]:
        self._file.seek(0)
        tally = Tally()
        for data, _ in unpacked(self._file):
            for part in tally.take(data):
                if tally.line > after:
                    yield part

    async def left_out(self) -> list[str]:
        """Return what the lines of the backup leave out: nothing."""
        return []

    async def close(self) -> None:
        self._file.close()


def check_whole(file: IO[bytes], read: Callable[[int], None]) -> tuple[Begin, BackupEnd]:
    """Raise BackupFault unless the file is complete."""
    tally = Tally()
    for data, _ in unpacked(file):
        for _ in tally.take(data):
            pass
        read(file.tell())
        if tally.begin is not None and tally.begin.backup > FORMAT:
            raise BackupFault(f"it has format {tally.begin.backup}, from a newer Turnwire; this one reads {FORMAT}")
    begin, end = tally.begin, tally.end
    if begin is None or end is None:
        raise BackupFault("it is cut short; `turnwire backup --resume` completes one that was stopped")
    if (end.sessions, end.events, end.sha256) != (tally.sessions, tally.events, tally.sha256):
        raise BackupFault("it is damaged: its checksum is wrong")
    return begin, end

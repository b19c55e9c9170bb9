"""A file of past calls as NDJSON, plain or gzipped, one call on each line; or standard input, kept in a temporary
file."""

from __future__ import annotations

import gzip
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from turnwire.commands.console import fail

_GZIP = b"\x1f\x8b"
_CHUNK = 64 * 1024


class LineFile:
    """The lines of a file. They can be read several times."""

    def __init__(self, file: IO[bytes], name: str, identity: str | None = None) -> None:
        self._file = file
        self.name = name
        self.identity = identity
        """A text that identifies the file and changes with it; None if no later command can read the source."""

    @classmethod
    def open(cls, path: Path) -> LineFile:
        """`-` is standard input. Exits if the file cannot be read."""
        if str(path) == "-":
            kept = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with the process
            shutil.copyfileobj(sys.stdin.buffer, kept)
            return cls(kept, "standard input")
        try:
            file = path.open("rb")
            found = os.fstat(file.fileno())
            return cls(file, str(path), f"{path.resolve()}\0{found.st_size}\0{found.st_mtime_ns}")
        except OSError as error:
            raise fail(f"cannot read {path}: {error.strerror}") from None

    async def chunks(self, after: int) -> AsyncIterator[bytes]:
        """Read the file in pieces, skipping its first `after` lines. Exits if the file cannot be read."""
        try:
            unpacked = self._unpacked()
            for _ in range(after):
                while (piece := unpacked.readline(_CHUNK)) and not piece.endswith(b"\n"):
                    pass
            while chunk := unpacked.read(_CHUNK):
                yield chunk
        except (OSError, EOFError, zlib.error) as error:
            raise fail(f"cannot read {self.name}: {error}") from None

    def _unpacked(self) -> IO[bytes]:
        self._file.seek(0)
        packed = self._file.read(2) == _GZIP
        self._file.seek(0)
        return gzip.GzipFile(fileobj=self._file) if packed else self._file  # type: ignore[return-value]

    async def left_out(self) -> list[str]:
        """Return what the lines leave out: nothing."""
        return []

    async def close(self) -> None:
        self._file.close()

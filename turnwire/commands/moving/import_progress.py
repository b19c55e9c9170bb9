"""The progress of an import, in a file that outlives the command, so that the next command continues from there."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, field

WRITE_SECONDS: Final = 1.0
"""Pause between two writes. Lines that were sent since the last write are sent again, and are then stored already."""


class Reached(Struct):
    """The results of the lines up to `line`."""

    line: int = 0
    results: dict[str, int] = field(default_factory=dict)
    events: int = 0
    bad: list[int] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)


class ImportProgress:
    """The progress of one source at one gateway. If no file can be written, the progress is silently not kept."""

    def __init__(self, path: Path | None) -> None:
        """`path`: None if the source cannot be found again, like standard input."""
        self._path = path
        self._written = time.monotonic()
        self.begun = _read(path)
        """What an earlier command has reached."""

    @classmethod
    def of(cls, gateway: str, source: str | None, *, keep_open: bool) -> ImportProgress:
        """`source`: a text that identifies the source and changes with it; None if the source cannot be found again."""
        if source is None:
            return cls(None)
        told = f"{gateway}\0{source}\0{keep_open}".encode()
        return cls(_folder() / f"import-{hashlib.blake2b(told, digest_size=12).hexdigest()}.json")

    def reached(self, reached: Reached) -> None:
        """Store this progress, unless some was stored a moment ago."""
        now = time.monotonic()
        if self._path is None or now - self._written < WRITE_SECONDS:
            return
        self._written = now
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new = self._path.with_suffix(f".{os.getpid()}")
            new.write_bytes(msgspec.json.encode(reached))
            new.replace(self._path)

    def forget(self) -> None:
        """Drop the progress, to begin at the first line."""
        self.begun = Reached()
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)


def _folder() -> Path:
    given = os.environ.get("XDG_STATE_HOME")
    return (Path(given) if given else Path("~/.local/state").expanduser()) / "turnwire"


def _read(path: Path | None) -> Reached:
    if path is not None:
        with suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode(path.read_bytes(), type=Reached)
    return Reached()

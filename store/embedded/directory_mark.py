"""The mark of a data directory, `turnwire.json`: its format, and which versions opened it last."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from turnwire.store.opening.format import FORMAT, newer_format
from turnwire.store.opening.versions import installed_version, this_version

FILE_NAME: Final = "turnwire.json"


class NewerDirectory(Exception):
    """The data directory must not be opened. The text says why, and what to do."""


class DirectoryMark(Struct):
    """What the file holds. `turnwire` and `database` are versions."""

    format: int
    turnwire: str | None = None
    database: str | None = None


def engine_version() -> str | None:
    """Return the version of the installed embedded database; None if it is not known."""
    return installed_version("secantusdb")


def read_mark(folder: Path) -> DirectoryMark | None:
    """Return the mark; None in a new directory, or one of 0.1.0. Raises OSError, NewerDirectory."""
    path = folder / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=DirectoryMark)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise NewerDirectory(
            f"{path} cannot be read ({error}): remove it if no newer Turnwire has written it"
        ) from None


def check_mark(folder: Path, engine: str | None) -> None:
    """Raise NewerDirectory if a newer Turnwire, or a newer database engine, has opened the directory."""
    mark = read_mark(folder)
    if mark is None:
        return
    fault = newer_format(f"the data directory {folder}", mark.format, mark.turnwire)
    if fault is not None:
        raise NewerDirectory(fault)
    if mark.database is not None and engine is not None and _numbers(engine) < _numbers(mark.database):
        raise NewerDirectory(
            f"the data directory {folder} was last opened by version {mark.database} of the embedded database, and "
            f"{engine} is installed, which may not read it: install secantusdb {mark.database} or later, or restore a "
            f"backup into a new directory"
        )


def keep_mark(folder: Path, engine: str | None) -> None:
    """Note that this Turnwire, and this engine, have opened the directory. Durable when it returns. Raises OSError."""
    mark = DirectoryMark(FORMAT, this_version(), engine)
    if read_mark(folder) == mark:
        return
    new = folder / f"{FILE_NAME}.new"
    with new.open("wb") as file:
        file.write(msgspec.json.encode(mark) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / FILE_NAME)


def _numbers(text: str) -> tuple[int, ...]:
    """Parse `0.7.0b3` to (0, 7, 0)."""
    found = re.match(r"\d+(?:\.\d+)*", text)
    return () if found is None else tuple(map(int, found[0].split(".")))

"""The mark of a data directory, `turnwire.json`: its format, and which versions opened it last."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from turnwire.store.embedded.program import PACKAGED, SETTING, Engine
from turnwire.store.opening.format import FORMAT, newer_format
from turnwire.store.opening.versions import this_version

FILE_NAME: Final = "turnwire.json"


class DirectoryRefused(Exception):
    """The data directory must not be opened. The text gives the reason and the remedy."""


class DirectoryMark(Struct):
    """The contents of the file. `turnwire` and `database` are versions. `engine` is the server whose version `database`
    is."""

    format: int
    turnwire: str | None = None
    database: str | None = None
    engine: str = PACKAGED


def read_mark(folder: Path) -> DirectoryMark | None:
    """Return the mark; None for a new directory or one of version 0.1.0. Raises OSError, DirectoryRefused."""
    path = folder / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=DirectoryMark)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise DirectoryRefused(
            f"{path} cannot be read ({error}): remove it if no newer Turnwire has written it"
        ) from None


def check_mark(folder: Path, engine: Engine | None) -> None:
    """Raise DirectoryRefused if a newer Turnwire, a newer engine or another server has opened the directory.

    `engine` is about to open the database; None if there is no database yet.
    """
    mark = read_mark(folder)
    if mark is not None:
        fault = newer_format(f"the data directory {folder}", mark.format, mark.turnwire)
        if fault is not None:
            raise DirectoryRefused(fault)
    if engine is not None:
        _check_engine(folder, Engine(PACKAGED, None) if mark is None else Engine(mark.engine, mark.database), engine)


def _check_engine(folder: Path, last: Engine, engine: Engine) -> None:
    if last.name != engine.name:
        before = f"leave {SETTING} out" if last.name == PACKAGED else f"set {SETTING} to that server"
        raise DirectoryRefused(
            f"the data directory {folder} was written by another database server, {last}, and {engine} may not read "
            f"it: {before}, or choose another TURNWIRE_DATA_DIR and bring the sessions there with turnwire backup and "
            "turnwire restore"
        )
    if last.version is not None and engine.version is not None and _numbers(engine.version) < _numbers(last.version):
        raise DirectoryRefused(
            f"the data directory {folder} was last opened by version {last.version} of the embedded database, and "
            f"{engine.version} is installed, which may not read it: install {_package(engine)} {last.version} or "
            "later, or restore a backup into a new directory"
        )


def _package(engine: Engine) -> str:
    return "secantusdb" if engine.name == PACKAGED else engine.name


def keep_mark(folder: Path, engine: Engine) -> None:
    """Record that this Turnwire and this engine have opened the directory. Durable on return. Raises OSError."""
    mark = DirectoryMark(FORMAT, this_version(), engine.version, engine.name)
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

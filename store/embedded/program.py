"""The program of the embedded database: the packaged server, or another one that a command names."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from turnwire.store.embedded.faults import EmbeddedDatabaseError
from turnwire.store.opening.versions import installed_version

SETTING: Final = "TURNWIRE_EMBEDDED_COMMAND"
PACKAGED: Final = "SecantusDB python"
"""The name of the packaged server, as `engine_of` gives it."""
_OWN_VARIABLES: Final = "SECANTUS_"
"""Prefix of variables, some of which make SecantusDB's servers acknowledge writes before they are on the disk."""


class Engine(Struct, frozen=True):
    """Which server writes the files of a data directory. `version` is None if it is not known."""

    name: str
    version: str | None

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name} {self.version}"


class Program(Struct, frozen=True):
    """The program to start, without its arguments."""

    command: tuple[str, ...]
    is_packaged: bool = True


def find_program(command: str | None) -> Program:
    """Return the program of this command, which is quoted as for a shell. None stands for the packaged server.

    Raises EmbeddedDatabaseError if it is not installed.
    """
    if command is None:
        return Program((_packaged_program(),))
    name, *arguments = shlex.split(command)
    found = shutil.which(name)
    if found is None:
        raise EmbeddedDatabaseError(
            f"{SETTING}: there is no program {name}; install it, give its whole path, or leave {SETTING} out to use "
            "the packaged server"
        )
    return Program((str(Path(found).absolute()), *arguments), is_packaged=False)


def packaged_engine() -> Engine:
    return Engine(PACKAGED, installed_version("secantusdb"))


def engine_of(status: Mapping[str, Any]) -> Engine:
    """Return the engine that gave this answer to `serverStatus`."""
    said = status.get("secantus")
    if isinstance(said, dict):
        return Engine(f"SecantusDB {said.get('server')}", said.get("version"))
    return Engine(str(status.get("process", "unknown")), status.get("version"))


def environment() -> dict[str, str]:
    """Return the environment of the server: this process's, without the variables that would make it less durable.

    The packaged server imports numpy, whose threads it does not need: without them, it starts 20 ms sooner.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OWN_VARIABLES)}
    return {"OPENBLAS_NUM_THREADS": "1", **inherited, "SECANTUS_FORCE_DURABLE": "1"}


def _packaged_program() -> str:
    places = [str(Path(sys.executable).parent), sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]
    found = shutil.which("secantusd-py", path=os.pathsep.join(places))
    if found is None:
        raise EmbeddedDatabaseError(
            "MONGODB_URI is not set, and the embedded database is not installed; run: pip install 'turnwire[embedded]'"
        )
    return found

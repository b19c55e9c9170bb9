"""Tries out a server other than the packaged one: does it keep what it acknowledges, and which server is it?

An ack of Turnwire is worth as much as an acknowledgement of the server. Some servers write later unless told otherwise,
and would lose acked events in every crash.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from typing import Any, Final

from turnwire.store.embedded.child import Child, Launch
from turnwire.store.embedded.data_directory import DataDirectory
from turnwire.store.embedded.faults import EmbeddedDatabaseError
from turnwire.store.embedded.program import PACKAGED, SETTING, Engine, engine_of

_COUNTED: Final = 3
"""The number of writes that must each be followed by a sync."""
_WRITES: Final = _COUNTED + 1
"""The number of writes before the kill. The last one is acknowledged a moment before it."""
_NAMES: Final = [str(number) for number in range(_WRITES)]

_log = logging.getLogger("turnwire.store")


async def try_program(launch: Launch, port: int) -> Engine:
    """Start the server on a temporary database, and kill it after it has acknowledged some writes.

    Return the server's engine. Raises EmbeddedDatabaseError if a write was lost, or if the server shows that it does
    not sync, and OSError.
    """
    directory = DataDirectory(launch.directory.path / "trial", launch.directory.log_file)
    shutil.rmtree(directory.path, ignore_errors=True)
    directory.take()
    try:
        directory.database.mkdir(mode=0o700)
        return await _try(Launch(launch.program, directory, launch.cache_size, launch.test_commands), port)
    finally:
        directory.release()
        shutil.rmtree(directory.path, ignore_errors=True)


async def _try(launch: Launch, port: int) -> Engine:
    child = Child(launch, port, None)
    try:
        await child.until_ready()
        engine = await _write(child)
    finally:
        await child.end(0)  # a kill, because an orderly end would write what is missing
    child = Child(launch, port, None)
    try:
        await child.until_ready()
        await _look(child, engine)
    finally:
        await child.end(0)
    return engine


async def _write(child: Child) -> Engine:
    before = await child.ask({"serverStatus": 1, "$db": "admin"})
    engine = engine_of(before)
    for name in _NAMES[:_COUNTED]:
        await _insert(child, name)
    synced = _synced(before, await child.ask({"serverStatus": 1, "$db": "admin"}))
    if synced is not None and synced < _COUNTED:
        raise EmbeddedDatabaseError(_said(engine, f"acknowledged {_COUNTED} writes and synced its log {synced} times"))
    if synced is None and engine.name != PACKAGED:
        _log.warning(
            "%s does not report how often it syncs, so acknowledged writes may not survive a loss of power",
            engine,
        )
    await _insert(child, _NAMES[-1])
    return engine


async def _insert(child: Child, name: str) -> None:
    concern = {"w": "majority", "j": True}
    await child.ask({"insert": "things", "documents": [{"_id": name}], "writeConcern": concern, "$db": "trial"})


async def _look(child: Child, engine: Engine) -> None:
    answer = await child.ask({"find": "things", "filter": {"_id": {"$in": _NAMES}}, "$db": "trial"})
    found = len(answer["cursor"]["firstBatch"])
    if found < _WRITES:
        raise EmbeddedDatabaseError(
            _said(engine, f"lost {_WRITES - found} of {_WRITES} acknowledged writes when killed")
        )


def _synced(before: Mapping[str, Any], after: Mapping[str, Any]) -> int | None:
    """Return how often the log was synced between these two answers of `serverStatus`; None if they do not say."""
    counts = [status.get("wiredTiger", {}).get("log", {}).get("log sync operations") for status in (before, after)]
    return None if None in counts else counts[1] - counts[0]


def _said(engine: Engine, fault: str) -> str:
    return (
        f"{SETTING}: {engine} {fault}, so acked events could be lost; it must sync at every commit, as SecantusDB's "
        "servers do with --sync-on-commit, which Turnwire passes on: a script must hand all its arguments to the server"
    )

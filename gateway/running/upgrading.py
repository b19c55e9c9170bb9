"""`turnwire upgrade`: opens what an older Turnwire has stored, converts it to the present format, and reports the
result."""

from __future__ import annotations

from turnwire.gateway.config import Config, ConfigError
from turnwire.gateway.running.serve import ServeError, start_database
from turnwire.gateway.telemetry.hiding import hide_password
from turnwire.protocol.errors import StorageUnavailable
from turnwire.store.embedded.directory_mark import DirectoryMark, DirectoryRefused, read_mark
from turnwire.store.mongo import Store
from turnwire.store.opening.old_metadata import pack_metadata


async def upgrade(config: Config) -> list[str]:
    """Return what has been done, as lines for people. Raises ServeError, ConfigError."""
    if config.mongodb_uri is not None:
        return [await _upgrade_database(config.mongodb_uri, config, embedded=False)]
    folder = config.data_dir
    if not (folder / "db").is_dir():
        raise ServeError(f"there is no data directory {folder}; name it with --data-dir")
    try:
        before = read_mark(folder)
    except DirectoryRefused as error:
        raise ServeError(str(error)) from None
    database = await start_database(config)
    try:
        line = await _upgrade_database(database.uri, config, embedded=True)
    finally:
        await database.stop()
    return [f"the data directory {folder}: {_said(read_mark(folder))}, before: {_said(before)}", line]


async def _upgrade_database(uri: str, config: Config, *, embedded: bool) -> str:
    try:
        store = Store.connect(uri, config.mongodb_database, embedded=embedded)
    except ValueError as error:
        raise ConfigError(hide_password(str(error))) from None
    try:
        if (fault := await store.format_fault()) is not None:
            raise ServeError(fault)
        before = await store.stored_format()
        await store.prepare()
        after = await store.stored_format()
        packed = await pack_metadata(store.sessions)
    except StorageUnavailable as error:
        raise ServeError(f"the database cannot be used: {(await store.state()).reason or error}") from None
    finally:
        await store.close()
    rewritten = f"; sessions whose large metadata is now stored as JSON: {packed}" if packed else ""
    return f"the database {config.mongodb_database}: format {after}, before: {before or 'none, as of 0.1.0'}{rewritten}"


def _said(mark: DirectoryMark | None) -> str:
    if mark is None:
        return "no format, as of 0.1.0"
    return f"format {mark.format}, Turnwire {mark.turnwire}, database engine {mark.database}"

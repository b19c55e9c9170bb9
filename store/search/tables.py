"""The tables of the search index, and the numbers that order sessions in them."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

VERSION = 4
"""The version of the tables. A search index of another version is upgraded if possible, or else dropped and filled
again."""
FILE_NAME = "search.sqlite3"

_SAME_MOMENT_BITS = 8
"""The number of bits for the sessions of one millisecond. Further sessions take numbers of the next millisecond."""
_CHUNK_BITS = 14
MAX_CHUNKS = 2**_CHUNK_BITS
"""Maximum number of texts in one session."""
_ZERO_MS = 1_577_836_800_000
"""2020-01-01. 41 bits of milliseconds cover the time from 1950 to 2089."""
_LEAST_MS, _MOST_MS = -(2**41), 2**41 - 2**20
LEAST_ORDINAL = _LEAST_MS << _SAME_MOMENT_BITS
"""The ordinal of sessions from before 1950, which are in no order."""

_TABLES = """
CREATE TABLE sessions (
    ordinal INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    language TEXT NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER,
    end_reason TEXT,
    duration INTEGER,
    p50 INTEGER,
    p95 INTEGER,
    missed INTEGER,
    interruptions INTEGER,
    tools_failed INTEGER,
    errors INTEGER,
    talk INTEGER,
    about TEXT NOT NULL,
    indexed INTEGER NOT NULL,
    chunks INTEGER NOT NULL
);
CREATE INDEX by_end_reason ON sessions (end_reason) WHERE end_reason IS NOT NULL;
CREATE INDEX by_language ON sessions (language);
CREATE INDEX by_status ON sessions (status);
CREATE INDEX by_duration ON sessions (duration) WHERE duration IS NOT NULL;
CREATE INDEX by_p95 ON sessions (p95) WHERE p95 IS NOT NULL;
CREATE INDEX by_interruptions ON sessions (interruptions) WHERE interruptions > 0;
CREATE INDEX unended ON sessions (ordinal) WHERE ended IS NULL;
CREATE TABLE metadata (
    key TEXT NOT NULL, value TEXT NOT NULL, ordinal INTEGER NOT NULL, PRIMARY KEY (key, value, ordinal)
) WITHOUT ROWID;
CREATE INDEX metadata_of ON metadata (ordinal);
CREATE VIRTUAL TABLE said USING fts5 (text, content='', detail=none, tokenize="unicode61 remove_diacritics 2");
CREATE TABLE texts (rowid INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
"""
_ORDERED_INDEXES = """
CREATE INDEX with_failed_tools ON sessions (ordinal) WHERE tools_failed > 0;
CREATE INDEX with_errors ON sessions (ordinal) WHERE errors > 0;
"""
"""Indexes of the sessions that have any, in the order of the sessions."""
_FROM_2 = "DROP INDEX by_tools_failed; DROP INDEX by_errors;"


def open_index(path: Path) -> sqlite3.Connection:
    """Connect to the search index, and create it unless it exists in this version. Raises sqlite3.Error, OSError.

    If the machine fails, the last writes may be lost. They are then read from the log again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _keep_private(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != VERSION:
        change = _upgrade(connection, version)
        connection.executescript(f"BEGIN; {change} PRAGMA user_version = {VERSION}; COMMIT;")
    return connection


def _upgrade(connection: sqlite3.Connection, version: int) -> str:
    """Return the SQL that makes the tables of this version from those of another one."""
    if version in (2, 3) and not _begins_too_early(connection):
        return f"{_FROM_2} {_ORDERED_INDEXES}" if version == 2 else ""
    return f"{_dropped(connection)} {_TABLES} {_ORDERED_INDEXES}"


def _begins_too_early(connection: sqlite3.Connection) -> bool:
    """Return whether there are sessions from before 2020, which earlier versions did not keep in order."""
    row = connection.execute("SELECT started FROM sessions ORDER BY ordinal LIMIT 1").fetchone()
    return row is not None and int(row[0]) < _ZERO_MS


def _keep_private(path: Path) -> None:
    """Make the file readable by its owner only, because it holds what was said. SQLite gives the same mode to the files
    that it adds."""
    for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        if each == path or each.exists():
            file = os.open(each, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if os.fstat(file).st_mode & 0o077:
                    os.fchmod(file, 0o600)
            finally:
                os.close(file)


def _dropped(connection: sqlite3.Connection) -> str:
    """Return the SQL that drops all tables, except those that SQLite drops along with another table."""
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return "".join(f'DROP TABLE "{name}";\n' for name in names if not name.startswith(("sqlite_", "said_")))


def request_rebuild(path: Path) -> None:
    """Ask the gateway to fill the search index again, now or at its next start. Raises sqlite3.Error, OSError."""
    connection = open_index(path)
    connection.execute("INSERT OR REPLACE INTO state VALUES ('rebuild', 'wanted')")
    connection.close()


def first_ordinal(started_ms: int) -> int:
    """Return the lowest ordinal of sessions that started in this millisecond or later."""
    return min(max(started_ms - _ZERO_MS, _LEAST_MS), _MOST_MS) << _SAME_MOMENT_BITS


def started_of(ordinal: int) -> int:
    """Return roughly when a session of this ordinal started, in milliseconds since 1970."""
    return (ordinal >> _SAME_MOMENT_BITS) + _ZERO_MS


def text_rowid(ordinal: int, chunk: int) -> int:
    return (ordinal << _CHUNK_BITS) + chunk


def ordinal_of_text(rowid: int) -> int:
    return rowid >> _CHUNK_BITS


def text_rowid_of(ordinal: str) -> str:
    """Return SQL for the rowid of a session's first text. `ordinal` is SQL too."""
    return f"({ordinal} << {_CHUNK_BITS})"


ORDINAL_OF_TEXT = f"rowid >> {_CHUNK_BITS}"

"""Writes to the search index. Everything here blocks and belongs to one thread."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct

from turnwire.protocol.messages import JsonObject
from turnwire.protocol.times import from_millis, to_millis
from turnwire.protocol.values import is_packed, unpacked
from turnwire.store.search.tables import MAX_CHUNKS, first_ordinal, open_index, text_rowid
from turnwire.store.session_filter import about, as_text, words_of
from turnwire.store.sessions import SessionRecord

_MAX_PAIRS = 32
"""Maximum number of top-level metadata values of one session that can be searched for."""
_MAX_VALUE_CHARS = 256
_MAX_ABOUT_CHARS = 8192
_MILLISECOND = timedelta(milliseconds=1)
_TEXTS_AT_ONCE = 100
"""This many take a millisecond or two."""
_REST_SECONDS = 0.005
_SHORT_REST_SECONDS = 0.001
_NOTE, _AFTER_NOTES = "noted/", "noted0"
"""The prefix of the names of notes, and what sorts after all of them."""
_LONGEST = timedelta(days=1)


class Said(Struct, frozen=True):
    """The text spoken in the events first…last of a session. `text` may be empty."""

    session_id: str
    first: int
    last: int
    text: str


class Unended(Struct, frozen=True):
    """A session that has not ended as far as the search index knows."""

    session_id: str
    indexed: int
    """The last seq whose text is indexed."""


class Catalog:
    """Write access to the search index in one file. Methods raise sqlite3.Error if the file cannot be written."""

    def __init__(self, path: Path) -> None:
        self._connection = open_index(path)

    def close(self) -> None:
        self._connection.close()

    # --- reading -----------------------------------------------------------------------------------------------------

    def rebuild_wanted(self) -> bool:
        return self._one("SELECT value FROM state WHERE name = 'rebuild'") is not None

    def clear(self) -> None:
        """Delete everything, so that the search index can be filled again."""
        with self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            for table in ("sessions", "metadata", "texts", "state"):
                connection.execute(f"DELETE FROM {table}")
            connection.execute("INSERT INTO said (said) VALUES ('delete-all')")

    def unended(self) -> list[Unended]:
        rows = self._connection.execute("SELECT id, indexed FROM sessions WHERE ended IS NULL")
        return [Unended(*row) for row in rows]

    def indexed(self, session_id: str) -> int | None:
        """Return the last seq of a session whose text is indexed; None for an unknown session."""
        row = self._one("SELECT indexed FROM sessions WHERE id = ?", session_id)
        return None if row is None else int(row[0])

    def ids_after(self, session_id: str, count: int) -> list[str]:
        """Return at most `count` ids after this one, in order."""
        rows = self._connection.execute("SELECT id FROM sessions WHERE id > ? ORDER BY id LIMIT ?", (session_id, count))
        return [row[0] for row in rows]

    def newest_started(self) -> int | None:
        """Return the start of the newest session, in milliseconds since 1970; None if there is no session."""
        row = self._one("SELECT started FROM sessions ORDER BY ordinal DESC LIMIT 1")
        return None if row is None else int(row[0])

    def complete(self) -> bool:
        """Return whether the search index has once been filled with all sessions."""
        return self._one("SELECT value FROM state WHERE name = 'complete'") is not None

    def looked(self) -> datetime | None:
        """Return when other gateways' changes were last looked at; None if that was not recorded."""
        row = self._one("SELECT value FROM state WHERE name = 'looked'")
        return None if row is None else from_millis(int(row[0]))

    def note_looked(self, moment: datetime) -> None:
        self._connection.execute("INSERT OR REPLACE INTO state VALUES ('looked', ?)", (str(to_millis(moment)),))

    def note_complete(self) -> None:
        self._connection.execute("INSERT OR REPLACE INTO state VALUES ('complete', 'yes')")

    def ended_since(self, moment: datetime) -> list[str]:
        """Return the ids of the sessions that ended then or later, and did not begin more than a day before."""
        ordinal = first_ordinal(to_millis(moment - _LONGEST))
        sql = "SELECT id FROM sessions WHERE ordinal >= ? AND ended >= ?"
        return [row[0] for row in self._connection.execute(sql, (ordinal, to_millis(moment)))]

    def flushed(self) -> datetime | None:
        """Return when everything was last written; None if that was not noted."""
        row = self._one("SELECT value FROM state WHERE name = 'flushed'")
        return None if row is None else from_millis(int(row[0]))

    def noted(self) -> list[str]:
        """Return the ids of the sessions that may have changes that were not written."""
        rows = self._connection.execute("SELECT name FROM state WHERE name > ? AND name < ?", (_NOTE, _AFTER_NOTES))
        return [name.removeprefix(_NOTE) for (name,) in rows]

    def note(self, session_ids: Iterable[str]) -> None:
        """Store a note that these sessions are about to change."""
        with self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            names = [(_NOTE + session_id,) for session_id in session_ids]
            connection.executemany("INSERT OR IGNORE INTO state VALUES (?, '')", names)

    def note_flushed(self, flushed: datetime | None, session_ids: Iterable[str]) -> None:
        """Note when everything was written, if that is given, and remove the notes of these sessions."""
        with self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            if flushed is not None:
                connection.execute("INSERT OR REPLACE INTO state VALUES ('flushed', ?)", (str(to_millis(flushed)),))
            connection.executemany("DELETE FROM state WHERE name = ?", [(_NOTE + each,) for each in session_ids])

    def _one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._connection.execute(sql, values).fetchone()
        return row

    # --- writing -----------------------------------------------------------------------------------------------------

    def take(self, records: Iterable[SessionRecord], texts: Iterable[Said]) -> list[str]:
        """Write sessions in their current state, then what was said in them.

        Leave out texts that do not follow the indexed ones, and return the ids of their sessions.
        """
        behind: dict[str, None] = {}
        with self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            for record in records:
                self._keep(record)
                if is_packed(record.metadata):  # large
                    time.sleep(_SHORT_REST_SECONDS)
            for number, said in enumerate(texts, 1):
                if not self._say(said):
                    behind[said.session_id] = None
                if number % _TEXTS_AT_ONCE == 0:
                    time.sleep(_REST_SECONDS)  # acks need the interpreter and a processor more than this thread does
        return list(behind)

    def remove(self, session_ids: Iterable[str]) -> None:
        """Remove sessions, and all that was said in them."""
        with self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            for session_id in session_ids:
                row = self._one("SELECT ordinal, about FROM sessions WHERE id = ?", session_id)
                if row is not None:
                    self._remove(*row)

    def _remove(self, ordinal: int, about_it: str) -> None:
        execute = self._connection.execute
        self._unsay(text_rowid(ordinal, 0), _folded(about_it))
        low, high = text_rowid(ordinal, 1), text_rowid(ordinal + 1, 0)
        for rowid, text in execute("SELECT rowid, text FROM texts WHERE rowid >= ? AND rowid < ?", (low, high)):
            self._unsay(rowid, text)
        execute("DELETE FROM texts WHERE rowid >= ? AND rowid < ?", (low, high))
        execute("DELETE FROM metadata WHERE ordinal = ?", (ordinal,))
        execute("DELETE FROM sessions WHERE ordinal = ?", (ordinal,))

    def _unsay(self, rowid: int, text: str) -> None:
        """Remove a text from the index. The index keeps no texts, so it must be told which one."""
        self._connection.execute("INSERT INTO said (said, rowid, text) VALUES ('delete', ?, ?)", (rowid, text))

    def _keep(self, record: SessionRecord) -> None:
        known = self._one("SELECT ordinal, about FROM sessions WHERE id = ?", record.session_id)
        metadata = unpacked(record.metadata)  # decoding large metadata takes half a millisecond
        text = about(record.session_id, metadata, _MAX_ABOUT_CHARS)[:_MAX_ABOUT_CHARS]
        if known is None:
            ordinal = self._free_ordinal(to_millis(record.started_at))
            columns = ", ".join("?" * 18)
            self._connection.execute(
                f"INSERT INTO sessions VALUES ({columns})", (ordinal, record.session_id, *_columns(record), text, 0, 1)
            )
        else:
            ordinal = known[0]
            assigned = "status, language, started, ended, end_reason, duration, p50, p95, missed, interruptions, "
            assigned += "tools_failed, errors, talk, about"
            values = ", ".join("?" * 14)
            self._connection.execute(
                f"UPDATE sessions SET ({assigned}) = ({values}) WHERE ordinal = ?", (*_columns(record), text, ordinal)
            )
        if known is None or known[1] != text:
            self._describe(ordinal, metadata, None if known is None else known[1], text)

    def _describe(self, ordinal: int, metadata: JsonObject, before: str | None, text: str) -> None:
        execute, rowid = self._connection.execute, text_rowid(ordinal, 0)
        if before is not None:
            self._unsay(rowid, _folded(before))
            execute("DELETE FROM metadata WHERE ordinal = ?", (ordinal,))
        execute("INSERT INTO said (rowid, text) VALUES (?, ?)", (rowid, _folded(text)))
        pairs = [(key, as_text(value)) for key, value in metadata.items()]
        kept = [(key, value, ordinal) for key, value in pairs if value is not None and len(value) <= _MAX_VALUE_CHARS]
        self._connection.executemany("INSERT OR IGNORE INTO metadata VALUES (?, ?, ?)", kept[:_MAX_PAIRS])

    def _free_ordinal(self, started_ms: int) -> int:
        low, high = first_ordinal(started_ms), first_ordinal(started_ms + 1)
        row = self._one("SELECT max(ordinal) FROM sessions WHERE ordinal >= ? AND ordinal < ?", low, high)
        ordinal = low if row is None or row[0] is None else int(row[0]) + 1
        while self._one("SELECT 1 FROM sessions WHERE ordinal = ?", ordinal) is not None:
            ordinal += 1
        return ordinal

    def _say(self, said: Said) -> bool:
        row = self._one("SELECT ordinal, indexed, chunks FROM sessions WHERE id = ?", said.session_id)
        if row is None or said.first > row[1] + 1:
            return False
        ordinal, indexed, chunks = row
        if said.last <= indexed:
            return True
        if said.text and chunks < MAX_CHUNKS:
            values = text_rowid(ordinal, chunks), _folded(said.text)
            self._connection.execute("INSERT INTO said (rowid, text) VALUES (?, ?)", values)
            self._connection.execute("INSERT INTO texts (rowid, text) VALUES (?, ?)", values)
            chunks += 1
        self._connection.execute(
            "UPDATE sessions SET indexed = ?, chunks = ? WHERE ordinal = ?", (said.last, chunks, ordinal)
        )
        return True


def _folded(text: str) -> str:
    """Return the folded words of a text; plain ASCII unchanged, since the tokenizer finds the same words in it."""
    if text.isascii():
        return text
    return " ".join(words_of(text))


def _columns(record: SessionRecord) -> tuple[Any, ...]:
    """Return the values of the columns status … talk."""
    seen, ended = record.figures, record.ended_at
    duration = None if ended is None else (ended - record.started_at) // _MILLISECOND
    times = to_millis(record.started_at), None if ended is None else to_millis(ended)
    head = (record.status, record.language, *times, record.end_reason, duration)
    if seen is None or ended is None:
        return (*head, *[None] * 7)
    interruptions = seen.interruptions.by_user + seen.interruptions.by_bot
    figures = seen.response_p50_ms, seen.response_p95_ms, seen.missed, interruptions
    return (*head, *figures, seen.tools_failed, seen.errors, seen.talk_ms)

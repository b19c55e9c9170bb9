"""The filters of a list of sessions beyond status, language and time."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from turnwire.protocol.messages import JsonObject, SessionFigures
from turnwire.protocol.values import unpacked

_BETWEEN_WORDS = re.compile(r"[\W_]+")
_MARKS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
"""Combining accents, as NFKD separates them from their letters."""
_PIECE_CHARS = 1000
_MOST_ACCENTS = 32
"""How many accents at the end of a piece stay with their letter."""


class SearchFilter(Struct, frozen=True, kw_only=True):
    """The conditions that a session must meet, all of them. None and empty values are no conditions.

    Bounds on durations and figures match ended sessions only.
    """

    end_reason: str | None = None
    """Empty text matches sessions without an end reason."""
    id_prefix: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    """Pairs (key, value) of top-level values, written as text: `true`, `17` or `Jane`. An empty value matches sessions
    without one."""
    min_duration_ms: int | None = None
    max_duration_ms: int | None = None
    has_errors: bool | None = None
    tools_failed: int | None = None
    """The minimum number of failed tool calls."""
    min_response_p95_ms: int | None = None
    min_interruptions: int | None = None
    words: tuple[str, ...] = ()
    """Folded words (see `words_of`), all of which must be found."""

    def __bool__(self) -> bool:
        return self != _NOTHING

    def takes(
        self, session_id: str, metadata: JsonObject, duration_ms: int | None, seen: SessionFigures | None
    ) -> bool:
        """Return whether a session meets all conditions except those on `end_reason` and on what was said.

        `duration_ms` is None for a session that has not ended.
        """
        if self.id_prefix is not None and not session_id.startswith(self.id_prefix):
            return False
        known = unpacked(metadata) if self.wants_metadata else metadata
        if any((as_text(known.get(key)) or "") != value for key, value in self.metadata):
            return False
        if self.words and not set(self.words) <= set(words_of(about(session_id, known))):
            return False
        if not self.wants_end:
            return True
        return duration_ms is not None and self._takes_duration(duration_ms) and self._takes_figures(seen)

    @property
    def wants_metadata(self) -> bool:
        """Whether `takes` looks at the metadata."""
        return bool(self.metadata or self.words)

    @property
    def wants_end(self) -> bool:
        """Whether only ended sessions can match."""
        return self.wants_figures or self.min_duration_ms is not None or self.max_duration_ms is not None

    @property
    def wants_figures(self) -> bool:
        bounds = self.has_errors, self.tools_failed, self.min_response_p95_ms, self.min_interruptions
        return any(bound is not None for bound in bounds)

    def _takes_duration(self, duration_ms: int) -> bool:
        low, high = self.min_duration_ms, self.max_duration_ms
        return (low is None or duration_ms >= low) and (high is None or duration_ms <= high)

    def _takes_figures(self, seen: SessionFigures | None) -> bool:
        if seen is None:
            return not self.wants_figures
        interruptions = seen.interruptions.by_user + seen.interruptions.by_bot
        return (
            (self.has_errors is None or (seen.errors > 0) == self.has_errors)
            and (self.tools_failed is None or seen.tools_failed >= self.tools_failed)
            and (self.min_interruptions is None or interruptions >= self.min_interruptions)
            and (self.min_response_p95_ms is None or (seen.response_p95_ms or -1) >= self.min_response_p95_ms)
        )


_NOTHING = SearchFilter()


def words_of(text: str) -> list[str]:
    """Return the folded words of a text: without case, accents and punctuation.

    Each of these steps holds the interpreter, and NFKD takes seconds for ten thousand accents in a row. So a long text
    is folded in pieces, and other threads run between them.
    """
    words, parts = list[str](), list[str]()
    for piece in _pieces(text):
        first, *others = _BETWEEN_WORDS.split(_folded(piece))
        parts.append(first)  # continues the last word of the piece before, if there is one
        if others:
            words.append("".join(parts))
            words += others[:-1]
            parts = others[-1:]
    words.append("".join(parts))
    return [word for word in words if word]


def _pieces(text: str) -> Iterator[str]:
    start, size = 0, len(text)
    while start < size:
        end = start + _PIECE_CHARS
        last = end + _MOST_ACCENTS
        while end < min(size, last) and unicodedata.combining(text[end]):
            end += 1
        yield text[start:end]
        start = end


def _folded(text: str) -> str:
    folded = text.casefold()
    return folded if folded.isascii() else _MARKS.sub("", unicodedata.normalize("NFKD", folded))


def as_text(value: Any) -> str | None:
    """Return a metadata value in the form that a query uses; None for a value that no query can match."""
    if isinstance(value, str):
        return value
    return None if value is None or isinstance(value, dict | list) else msgspec.json.encode(value).decode()


def values_written(text: str) -> list[Any]:
    """Return the metadata values that a query writes as `text`, as the database compares them."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError):
        return [text]
    return [text] if value is None or isinstance(value, dict | list | str) else [text, value]


def about(session_id: str, metadata: JsonObject, most_chars: float = math.inf) -> str:
    """Return the id and the metadata values as one text for searching. It ends after about `most_chars`."""
    found, left = [session_id], most_chars
    stack: list[Any] = [unpacked(metadata)]
    while stack and left > 0:
        value = stack.pop()
        if isinstance(value, dict):
            stack += value.values()
        elif isinstance(value, list):
            stack += value
        elif (text := as_text(value)) is not None:
            found.append(text)
            left -= len(text) + 1
    return "\n".join(found)

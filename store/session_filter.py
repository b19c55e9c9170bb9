"""What else, beside status, language and time, a list of sessions may be asked for."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import msgspec
from msgspec import Struct

from turnwire.protocol.messages import JsonObject, SessionFigures

_WORD = re.compile(r"[^\W_]+")
_MARKS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
"""Accents, once they stand by themselves."""


class SessionFilter(Struct, frozen=True, kw_only=True):
    """Every field narrows; None and empty ones do not. Bounds on durations and figures match ended sessions alone."""

    end_reason: str | None = None
    id_prefix: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    """(key, value): a top-level value that reads so as text, as in `true`, `17` or `Jane`."""
    min_duration_ms: int | None = None
    max_duration_ms: int | None = None
    has_errors: bool | None = None
    tools_failed: int | None = None
    """At least so many."""
    min_response_p95_ms: int | None = None
    min_interruptions: int | None = None
    words: tuple[str, ...] = ()
    """Folded words, all of which must be found."""

    def __bool__(self) -> bool:
        return self != _NOTHING

    def takes(
        self, session_id: str, metadata: JsonObject, duration_ms: int | None, seen: SessionFigures | None
    ) -> bool:
        """Whether a session passes, as far as `end_reason` and speech are not concerned. `duration_ms` is None while
        it lives."""
        if self.id_prefix is not None and not session_id.startswith(self.id_prefix):
            return False
        if any(as_text(metadata.get(key)) != value for key, value in self.metadata):
            return False
        if self.words and not set(self.words) <= set(words_of(about(session_id, metadata))):
            return False
        if not self.wants_end:
            return True
        return duration_ms is not None and self._takes_duration(duration_ms) and self._takes_figures(seen)

    @property
    def wants_end(self) -> bool:
        """Whether only ended sessions can pass."""
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


_NOTHING = SessionFilter()


def words_of(text: str) -> list[str]:
    """The words of a text as they are compared: without case, accents and punctuation."""
    folded = text.casefold()
    if not folded.isascii():
        folded = _MARKS.sub("", unicodedata.normalize("NFKD", folded))
    return _WORD.findall(folded)


def as_text(value: Any) -> str | None:
    """How a value of metadata is written in a query; None for what cannot be asked for."""
    if isinstance(value, str):
        return value
    return None if value is None or isinstance(value, dict | list) else msgspec.json.encode(value).decode()


def values_written(text: str) -> list[Any]:
    """The values of metadata that are written so in a query, as a database compares them."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError):
        return [text]
    return [text] if value is None or isinstance(value, dict | list | str) else [text, value]


def about(session_id: str, metadata: JsonObject) -> str:
    """The id and all values of the metadata, as one text to find words in."""
    found = [session_id]
    stack: list[Any] = [metadata]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack += value.values()
        elif isinstance(value, list):
            stack += value
        elif (text := as_text(value)) is not None:
            found.append(text)
    return "\n".join(found)

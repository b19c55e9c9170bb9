"""Limits and defaults of pages, and the rule for languages: shared by REST, the API document and clients."""

from __future__ import annotations

MAX_LIMIT = 100
"""Most items of one page, whatever is listed."""
MAX_INTEGER = 2**53
"""The largest integer of a query: every client can count to it."""
MAX_LANGUAGE_CHARS = 64
MAX_COUNT = 100_000
"""The largest `countUpTo`."""
MAX_METADATA_PAIRS = 4
"""Values of metadata that one list may be asked for."""
MAX_WORDS = 8
"""Words of one search."""
MAX_DAYS = 400
"""Between the two times that sums are asked for."""
MAX_HOURS = 200
"""The same when they are by the hour."""
MAX_FILTER_CHARS = 512
"""Of one text in a query."""

DEFAULT_LIST_LIMIT = 20
DEFAULT_PAGE_LIMIT = 20
DEFAULT_OFFSET_LIMIT = 50
DEFAULT_WINDOW_LIMIT = 100


def language_fault(language: str) -> str | None:
    """What is wrong with a session's language, as text for its sender; None when nothing is."""
    if 1 <= len(language) <= MAX_LANGUAGE_CHARS:
        return None
    return f"language must have 1 to {MAX_LANGUAGE_CHARS} characters, has {len(language)}"

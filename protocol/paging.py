"""Limits and defaults of queries, and the rule for languages: shared by REST, the API document and clients."""

from __future__ import annotations

MAX_LIMIT = 100
"""Maximum number of items in one page, whatever is listed."""
MAX_INTEGER = 2**53
"""The largest integer in a query, chosen so that every client can represent it exactly."""
MAX_LANGUAGE_CHARS = 64
MAX_COUNT = 100_000
"""The largest `countUpTo`."""
MAX_METADATA_PAIRS = 4
"""Maximum number of metadata values that one query may filter by."""
MAX_WORDS = 8
"""Maximum number of words in one search."""
MAX_DAYS = 400
"""The longest period of a query for sums."""
MAX_HOURS = 200
"""The longest period of a query for sums by the hour."""
MAX_FILTER_CHARS = 512
"""Maximum number of characters in one text in a query."""

DEFAULT_LIST_LIMIT = 20
DEFAULT_PAGE_LIMIT = 20
DEFAULT_OFFSET_LIMIT = 50
DEFAULT_WINDOW_LIMIT = 100


def language_fault(language: str) -> str | None:
    """Return what is wrong with a session's language, as text for its sender, or None."""
    if 1 <= len(language) <= MAX_LANGUAGE_CHARS:
        return None
    return f"language must have 1 to {MAX_LANGUAGE_CHARS} characters, has {len(language)}"

"""Limits and defaults of pages, and the rule for languages: shared by REST, the API document and clients."""

from __future__ import annotations

MAX_LIMIT = 100
"""Most items of one page, whatever is listed."""
MAX_INTEGER = 2**53
"""The largest integer of a query: every client can count to it."""
MAX_LANGUAGE_CHARS = 64

DEFAULT_LIST_LIMIT = 20
DEFAULT_PAGE_LIMIT = 20
DEFAULT_OFFSET_LIMIT = 50
DEFAULT_WINDOW_LIMIT = 100


def language_fault(language: str) -> str | None:
    """What is wrong with a session's language, as text for its sender; None when nothing is."""
    if 1 <= len(language) <= MAX_LANGUAGE_CHARS:
        return None
    return f"language must have 1 to {MAX_LANGUAGE_CHARS} characters, has {len(language)}"

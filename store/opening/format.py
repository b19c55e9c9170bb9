"""The format of the stored data: a number that is stored with the data and tells an older Turnwire not to use it."""

from __future__ import annotations

from typing import Final

from turnwire.store.opening.versions import this_version

FORMAT: Final = 2
"""Raised by each change of the stored data that an older Turnwire would misread. 0.1.0 stored no number, and counts as
1.

2: the embedded database holds large metadata as JSON."""
PACKED: Final = 2
"""The first format in which large metadata may be JSON."""


def newer_format(thing: str, found: int, writer: str | None) -> str | None:
    """Return why something of this format must not be opened, as text for people; None if it may be."""
    if found <= FORMAT:
        return None
    here = this_version() or "(unknown)"
    by = "a newer Turnwire" if writer is None else f"Turnwire {writer}"
    return (
        f"{thing} has format {found}, of {by}, and this is Turnwire {here}, which knows formats up to {FORMAT}: "
        f"install {'a newer one' if writer is None else f'{writer} or later'}, or restore a backup elsewhere"
    )

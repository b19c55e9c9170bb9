"""`turnwire reindex`: has a gateway rebuild its search."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from turnwire.store.search.tables import FILE_NAME, request_rebuild


def reindex(data_dir: Path) -> str | None:
    """Request a rebuild. Return an error as text for people; None on success."""
    path = data_dir / FILE_NAME
    if not path.exists():
        return f"there is no search index in {data_dir}: a gateway with TURNWIRE_SEARCH=on creates one"
    try:
        request_rebuild(path)
    except (sqlite3.Error, OSError) as error:
        return f"the search index in {data_dir} cannot be written: {error}"
    return None

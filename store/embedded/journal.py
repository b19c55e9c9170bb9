"""The embedded database's journal of changes, which is kept short because Turnwire does not read it.

With each thousandth entry, the server removes what is too much or too old, and serves nobody meanwhile: 17 ms for a
thousand entries, 2 s for 100,000. By its own settings it keeps 100,000, and removes at once what is an hour old: all
that a busy hour has stored, if a quiet one follows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

_ENTRIES: Final = 1000
_TEN_YEARS: Final = 315_360_000
SETTINGS: Final = f"""\
# Written by each start. Turnwire does not read the database's journal of changes.
[oplog]
max_entries = {_ENTRIES}
retention_seconds = {_TEN_YEARS}
"""
_SCRAP: Final = "prepare"
"""The name of the database for entries that are of no use otherwise, and of its collection."""


async def shorten(ask: Callable[[dict[str, Any]], Awaitable[object]]) -> None:
    """Make the server remove what the journal has too much, before anybody waits for it.

    `ask` returns the answer to a command that succeeds. The server has a command for this, too, which waits for the
    disk with each entry.
    """
    entries = [{"_id": number} for number in range(_ENTRIES)]
    await ask({"insert": _SCRAP, "documents": entries, "$db": _SCRAP})
    await ask({"dropDatabase": 1, "$db": _SCRAP})

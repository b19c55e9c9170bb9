"""The format of the stored data: a number stored with it, by which an older Turnwire knows that it must not use the
data."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from pymongo.errors import DuplicateKeyError

from turnwire.store.opening.versions import this_version

FORMAT: Final = 2
"""Raised by each change of the stored data that an older Turnwire would misread. 0.1.0 stored no number, and counts as
1.

2: the embedded database holds large metadata as JSON."""
PACKED: Final = 2
"""The first format in which large metadata may be JSON."""
_KEY: Final = "format"


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


class FormatStore:
    """The format's document, in a collection of its own. Methods raise the driver's errors."""

    def __init__(self, database: Any, name: str, *, raises: bool) -> None:
        """`name` is the database's name. With `raises`, what is stored from now on has the present format. Without it,
        a database keeps its format, so that older gateways can go on using it."""
        self._raises = raises
        self._documents = database["turnwire"]
        self._name = f"the database {name}"

    async def read(self) -> int | None:
        """Return the stored format; None for a new database, or one of 0.1.0."""
        found = await self._documents.find_one({"_id": _KEY})
        return None if found is None else int(found["format"])

    async def fault(self) -> str | None:
        """Return why the database must not be opened; None if it may be."""
        found = await self._documents.find_one({"_id": _KEY})
        return None if found is None else newer_format(self._name, int(found["format"]), found.get("writer"))

    async def keep(self) -> int:
        """Store the format if there is none, or if it is to be raised; it never goes down. Return the stored format."""
        found = await self.read()
        present = {"format": FORMAT, "writer": this_version()}
        if found is None:
            with suppress(DuplicateKeyError):  # another gateway was faster
                await self._documents.insert_one({"_id": _KEY, **present})
        elif found < FORMAT and self._raises:
            await self._documents.update_one({"_id": _KEY, "format": {"$lt": FORMAT}}, {"$set": present})
        else:
            return found
        return FORMAT

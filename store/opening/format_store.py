"""The format of the data in a database, stored in a separate collection."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from pymongo.errors import DuplicateKeyError

from turnwire.store.opening.format import FORMAT, newer_format
from turnwire.store.opening.versions import this_version

_KEY: Final = "format"


class FormatStore:
    """The format's document, in a separate collection. Methods raise the driver's errors."""

    def __init__(self, database: Any, name: str, *, raises: bool) -> None:
        """`name` is the database's name. With `raises`, data stored from now on has the present format. Otherwise, a
        database keeps its format, so that older gateways can still use it."""
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

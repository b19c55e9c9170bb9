"""Metadata in its stored form: a subdocument, or JSON if it is large and the database is the embedded one."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec
from msgspec import Raw

from turnwire.protocol.messages import JsonObject

LARGE: Final = 4096
"""Size in bytes of JSON from which the embedded database stores metadata as JSON.

That database decodes every document that it reads or changes, and serves nobody else meanwhile: 2 ms for 60 KB of small
values, and as much again to encode them. Bytes cost it almost nothing."""


def stored_metadata(metadata: JsonObject, *, packs: bool) -> JsonObject | bytes:
    """Return the stored form. `packs`: store large metadata as JSON."""
    if not packs:
        return metadata
    encoded = msgspec.json.encode(metadata)
    return encoded if len(encoded) >= LARGE else metadata


def metadata_in(stored: Any) -> JsonObject:
    """Return the metadata in a stored document's field. JSON that is marked as Raw stays as it is."""
    return cast("JsonObject", msgspec.json.decode(stored) if type(stored) is bytes else stored)


def as_json(stored: Any) -> Any:
    """Mark stored JSON as Raw, so that an encoder of JSON copies it."""
    return Raw(stored) if type(stored) is bytes else stored

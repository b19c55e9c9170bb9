"""Metadata in its stored form: a subdocument, or JSON if it is large and the database is the embedded one.

That database decodes every document that it reads or changes, and serves nobody else meanwhile: 2 ms for 60 KB of small
values, and as much again to encode them. Bytes cost it almost nothing.
"""

from __future__ import annotations

from typing import Any, cast

from turnwire.protocol.messages import JsonObject
from turnwire.protocol.values import LARGE, PackedObject, json_text, packed, unpacked


def stored_metadata(metadata: JsonObject, *, packs: bool) -> JsonObject | bytes:
    """Return the stored form. `packs`: store large metadata as JSON."""
    text = json_text(metadata) if packs else b""
    return text if len(text) >= LARGE else unpacked(metadata)


def metadata_in(stored: Any) -> JsonObject:
    """Return the metadata in a stored document's field, packed if it is large."""
    return packed(cast("JsonObject", PackedObject(stored) if type(stored) is bytes else stored))

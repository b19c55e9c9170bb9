"""The base of all wire shapes."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

JsonObject = dict[str, Any]
Timestamp = Annotated[
    str,
    Meta(description="ISO-8601, UTC, milliseconds", examples=["2025-12-21T10:30:00.000Z"]),
]


class Shape(Struct, rename="camel"):
    """The base of all wire shapes: names are camelCase on the wire, unknown fields are ignored."""

"""The base of all wire shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from msgspec import Meta, Struct

T = TypeVar("T")

JsonObject = dict[str, Any]
Timestamp = Annotated[
    str,
    Meta(description="ISO-8601, UTC, milliseconds", examples=["2025-12-21T10:30:00.000Z"]),
]
if TYPE_CHECKING:
    OrNull = Annotated[T, "or null"]
else:
    OrNull = T | None
    """A field that may be left out. A null counts as left out: the shape's `__post_init__` puts the default in its
    place."""


class Shape(Struct, rename="camel"):
    """The base of all wire shapes: names are camelCase on the wire, unknown fields are ignored."""

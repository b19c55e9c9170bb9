"""Reading a vendor's messages, whether they are dicts or objects of its SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


def field(source: Any, *path: str) -> Any:
    """Return the value at the end of the path, or None."""
    for name in path:
        source = source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
        if source is None:
            return None
    return source


def decoded(text: Any) -> Any:
    """Return the value of a JSON text. Return anything else unchanged."""
    if not isinstance(text, str) or not text:
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text

"""Reading a vendor's messages, whether they are dicts or the objects of its SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


def field(source: Any, *path: str) -> Any:
    """What is at the end of the path, or None where there is nothing."""
    for name in path:
        source = source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
        if source is None:
            return None
    return source


def decoded(text: Any) -> Any:
    """What a JSON text says; anything else as it is."""
    if not isinstance(text, str) or not text:
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text

"""Values of a MongoDB document, as JSON."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from turnwire.protocol.times import format_time

_FLAGS: Final = {re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s", re.UNICODE: "u", re.VERBOSE: "x"}
_UUID_SUBTYPE: Final = 4


def plain(value: Any) -> Any:
    """Return the JSON value of a document's value. What JSON lacks becomes the text that JavaScript shows for it."""
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, str):
        return str(value)  # the driver's type for code, too
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, datetime):
        return format_time(value)
    return int(value) if isinstance(value, int) else _text(value)


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        is_uuid = getattr(value, "subtype", 0) == _UUID_SUBTYPE and len(value) == 16
        return str(UUID(bytes=bytes(value))) if is_uuid else base64.b64encode(value).decode()
    kind = type(value).__name__
    if kind == "DatetimeMS":  # a time that Python cannot hold
        return int(value)
    if kind == "Timestamp":
        return format_time(value.as_datetime())
    if kind == "Regex":
        return f"/{value.pattern}/{''.join(letter for flag, letter in _FLAGS.items() if value.flags & flag)}"
    return kind if kind in ("MinKey", "MaxKey") else str(value)

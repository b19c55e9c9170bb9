"""Session ids for calls without an id."""

from __future__ import annotations

import os
import time
import uuid


def new_session_id() -> str:
    """Make a UUIDv7. Ids made later sort later."""
    milliseconds = time.time_ns() // 1_000_000
    bits = (milliseconds & (2**48 - 1)) << 80 | int.from_bytes(os.urandom(10))
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=bits))

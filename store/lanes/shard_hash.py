"""Where a hashed shard key puts a string, so that what goes to one shard can travel together."""

from __future__ import annotations

import struct
from hashlib import md5
from typing import Final

_STRING: Final = struct.pack("<ii", 0, 15)
"""What stands before a string when it is hashed: the seed, and the rank of strings among BSON types."""
_HASHES: Final = 2**64


def shard_hash(value: str) -> int:
    """The signed 64-bit hash that MongoDB sorts a hashed shard key by."""
    text = value.encode() + b"\0"
    digest = md5(_STRING + len(text).to_bytes(4, "little") + text, usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def lane_of(session_id: str, lanes: int) -> int:
    """One of `lanes` equal ranges of hashes. A shard owns a few ranges, so that most lanes write to one shard only."""
    return 0 if lanes == 1 else (shard_hash(session_id) + _HASHES // 2) * lanes // _HASHES

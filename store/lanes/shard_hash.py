"""The hash by which MongoDB assigns a string to a shard, so that writes to one shard can share an insert."""

from __future__ import annotations

import struct
from hashlib import md5
from typing import Final

_STRING: Final = struct.pack("<ii", 0, 15)
"""The prefix of a hashed string: the seed, and the canonical type of strings in BSON."""
_HASHES: Final = 2**64


def shard_hash(value: str) -> int:
    """Return the signed 64-bit hash by which MongoDB orders a hashed shard key."""
    text = value.encode() + b"\0"
    digest = md5(_STRING + len(text).to_bytes(4, "little") + text, usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def lane_of(session_id: str, lanes: int) -> int:
    """Return the lane of a session, one for each of `lanes` equal ranges of hashes.

    A shard owns few ranges, so most lanes write to one shard only.
    """
    return 0 if lanes == 1 else (shard_hash(session_id) + _HASHES // 2) * lanes // _HASHES

"""The digests by which long logs keep eventIds, in memory and in the store."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from hashlib import blake2b


def event_digest(event_id: str) -> int:
    """Return 8 bytes of BLAKE2b (RFC 7693) of the eventId, as an unsigned integer. Long logs keep ids in this form."""
    return int.from_bytes(blake2b(event_id.encode(), digest_size=8).digest(), "little")


def pack_digests(event_ids: Sequence[str]) -> bytes:
    """Return the digests of these eventIds, in order: 8 bytes each, little-endian."""
    return packed_digests(map(event_digest, event_ids))


def packed_digests(digests: Iterable[int]) -> bytes:
    """Return digests in the form in which the store keeps them."""
    return _little_endian(array("Q", digests)).tobytes()


def unpacked_digests(page: bytes) -> array[int]:
    """Return the digests of a stored page."""
    return _little_endian(array("Q", page))


def _little_endian(digests: array[int]) -> array[int]:
    """Convert from this machine's byte order to little-endian, or back, in place."""
    if sys.byteorder == "big":
        digests.byteswap()
    return digests

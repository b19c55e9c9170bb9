"""The digests by which long logs keep eventIds, in memory and in the store."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from hashlib import blake2b


def event_digests(event_ids: Iterable[str]) -> array[int]:
    """Return the digest of each of these eventIds: 8 bytes of BLAKE2b (RFC 7693) as an unsigned integer, little-endian.
    Long logs keep ids in this form."""
    return unpacked_digests(b"".join([blake2b(each.encode(), digest_size=8).digest() for each in event_ids]))


def pack_digests(event_ids: Sequence[str]) -> bytes:
    """Return the digests of these eventIds, in order: 8 bytes each, little-endian."""
    return packed_digests(event_digests(event_ids))


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

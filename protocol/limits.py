"""The limits that clients must observe."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

FRAME_BYTES: Final = 256 * 1024
"""The size in bytes to which the gateway splits what it sends, unless a single event or session is larger."""
_ENVELOPE_BYTES: Final = 16 * 1024
"""Room in bytes for what surrounds a payload or metadata: ids, a `ref` and names, escaped."""


class Limits(Struct, frozen=True, kw_only=True):
    """The limits for a publisher or a REST client. Sizes are in bytes of the encoded form as received."""

    id_chars: int = 256
    event_bytes: int = 128 * 1024
    frame_bytes: int = 1024 * 1024
    depth: int = 64
    metadata_bytes: int = 64 * 1024
    batch_events: int = 500
    in_flight: int = 256
    containers: int = 20_000
    """Arrays and objects in one frame or body; 0 means no limit."""
    ping_ref_bytes: int = 128
    """0 means no limit."""

    @property
    def receive_bytes(self) -> int:
        """The receive limit that a client needs: no frame from the gateway is longer.

        Most frames have at most 256 KiB. A single event may be longer, because one byte of MessagePack may become a
        six-byte escape in JSON. A session is as long as its metadata, and a number in it may take twice as many bytes
        in MessagePack.
        """
        return max(FRAME_BYTES, 6 * self.event_bytes, 3 * self.metadata_bytes) + _ENVELOPE_BYTES

"""The limits that a client meets."""

from __future__ import annotations

from msgspec import Struct


class Limits(Struct, frozen=True, kw_only=True):
    """The limits that a publisher or a REST client meets. Sizes are in bytes of the encoded form received."""

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

"""Bounds: how many of each thing there may be, and how large."""

from __future__ import annotations

import sys
from typing import Final, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from turnwire.gateway.config.sources import Settings
from turnwire.protocol.messages import Limits

_KIB: Final = 1024
_MIB: Final = 1024 * 1024
_GIB: Final = 1024 * _MIB
_LEAST: Final = {"max_outbox_bytes": _KIB, "max_waiting_bytes": _MIB}
"""The least value of each of these bounds, apart from 0."""


class BoundSettings(Settings):
    """Settings for bounds. They apply with and without authentication, unless they say otherwise."""

    max_id_chars: int = Field(256, ge=36, le=1024, description="Longest sessionId and eventId, in characters.")
    max_event_bytes: int = Field(128 * _KIB, ge=_KIB, le=8 * _MIB, description="Largest event as sent, in bytes.")
    max_frame_bytes: int = Field(_MIB, ge=_KIB, le=8 * _MIB, description="Largest frame or REST body, in bytes.")
    max_depth: int = Field(64, ge=1, le=90, description="Deepest nesting of a payload or of metadata.")
    max_metadata_bytes: int = Field(64 * _KIB, ge=2, le=_MIB, description="Largest metadata of a session, in bytes.")
    max_batch_events: int = Field(500, ge=1, le=5000, description="Maximum events in one append.")
    max_in_flight: int = Field(
        256,
        ge=1,
        le=100_000,
        description="Maximum unacked events of one publisher; beyond that, the publisher is not read.",
    )
    max_outbox_bytes: int = Field(
        _MIB, ge=0, le=256 * _MIB, description="Maximum bytes held for one slow connection; 0 means no limit."
    )
    max_waiting_bytes: int = Field(
        256 * _MIB,
        ge=0,
        le=64 * 1024 * _MIB,
        description="Maximum bytes of events that wait for the storage, over all sessions; 0 means no limit.",
    )
    max_connections: int = Field(
        20_000,
        ge=0,
        le=1_000_000,
        description="Maximum connections, idle ones included; with authentication the last tenth is for those with a "
        "credential; 0 means no limit.",
    )
    max_live_sessions: int = Field(50_000, ge=1, le=10_000_000, description="Maximum sessions held in memory.")
    max_subscriptions: int = Field(1000, ge=1, le=100_000, description="Maximum subscriptions of one connection.")
    max_bad_messages: int = Field(
        20, ge=0, description="Undecodable messages in a row after which a connection is closed; 0 means no limit."
    )
    max_containers: int = Field(
        20_000, ge=0, description="Maximum arrays and objects in one frame or body; 0 means no limit."
    )
    max_ping_ref_bytes: int = Field(128, ge=0, description="Longest ref of a ping, in bytes; 0 means no limit.")
    max_frames_per_turn: int = Field(
        32, ge=0, description="Maximum frames of one connection before others get a turn; 0 means no limit."
    )
    max_streams: int = Field(256, ge=0, description="Maximum NDJSON and SSE streams at once; 0 means no limit.")
    max_streams_per_principal: int = Field(
        16, ge=0, description="Maximum such streams of one principal, or of an address without one; 0 means no limit."
    )
    max_stream_items: int = Field(
        10_000, ge=0, description="Maximum items in a body that is written to a durable stream; 0 means no limit."
    )
    max_feeds: int = Field(4, ge=0, description="Maximum feeds of one connection; 0 means no limit.")
    max_all_outbox_bytes: int = Field(
        256 * _MIB,
        ge=0,
        description="Maximum bytes held for all slow connections together; beyond that, the slowest is closed; 0 means "
        "no limit.",
    )
    max_live_bytes: int = Field(
        2 * _GIB, ge=0, description="Maximum memory of live sessions, metadata included, in bytes; 0 means no limit."
    )
    max_session_events: int = Field(1_000_000, ge=0, description="Maximum events of one session; 0 means no limit.")
    max_webhooks: int = Field(16, ge=0, le=256, description="Maximum webhook endpoints.")
    max_webhook_sessions: int = Field(
        20_000,
        ge=10,
        le=1_000_000,
        description="Maximum sessions whose progress a webhook keeps in memory; further sessions wait in the store.",
    )
    max_connections_per_principal: int = Field(
        10_000, ge=0, description="Maximum connections of one principal, with authentication; 0 means no limit."
    )
    max_sessions_per_principal: int = Field(
        10_000, ge=0, description="Maximum live sessions of one principal, with authentication; 0 means no limit."
    )
    max_handshakes_per_address: int = Field(
        200,
        ge=0,
        description="Maximum unauthenticated connections from one address, with authentication; 0 means no limit.",
    )

    @field_validator(*_LEAST)
    @classmethod
    def _is_off_or_large_enough(cls, value: int, info: ValidationInfo) -> int:
        least = _LEAST[str(info.field_name)]
        if 0 < value < least:
            raise ValueError(f"must be 0 or at least {least}")
        return value

    @model_validator(mode="after")
    def _event_fits_frame(self) -> Self:
        if self.max_event_bytes > self.max_frame_bytes:
            raise ValueError(
                f"TURNWIRE_MAX_EVENT_BYTES ({self.max_event_bytes}) must not be over "
                f"TURNWIRE_MAX_FRAME_BYTES ({self.max_frame_bytes})"
            )
        return self

    @property
    def outbox_bytes(self) -> int:
        """Bytes that may wait for one slow connection. Without a limit, more than there can be."""
        return self.max_outbox_bytes or sys.maxsize

    @property
    def waiting_bytes(self) -> int:
        """Bytes of events that may wait for the storage. Without a limit, more than there can be."""
        return self.max_waiting_bytes or sys.maxsize

    @property
    def limits(self) -> Limits:
        """The limits that clients must keep, in the protocol's terms."""
        return Limits(
            id_chars=self.max_id_chars,
            event_bytes=self.max_event_bytes,
            frame_bytes=self.max_frame_bytes,
            depth=self.max_depth,
            metadata_bytes=self.max_metadata_bytes,
            batch_events=self.max_batch_events,
            in_flight=self.max_in_flight,
            containers=self.max_containers,
            ping_ref_bytes=self.max_ping_ref_bytes,
        )

"""Time settings, in seconds."""

from __future__ import annotations

from pydantic import Field

from turnwire.gateway.config.sources import Settings


class TimeSettings(Settings):
    """Settings for times, in seconds."""

    end_grace: float = Field(
        30, ge=0, le=86_400, description="How long after its end a session still takes events, in seconds."
    )
    abandon_after: float = Field(
        300, gt=0, le=604_800, description="Seconds without publisher and events after which a session ends as failed."
    )
    expire_after: float = Field(
        86_400,
        ge=0,
        le=31_536_000,
        description="Seconds without events after which a session ends as failed, with or without a publisher; "
        "0 means never.",
    )
    storage_timeout: float = Field(
        30, gt=0, le=3600, description="Longest time a publisher's event waits for the storage, in seconds."
    )
    rest_timeout: float = Field(
        10, gt=0, le=3600, description="Longest time a REST request waits for the storage, in seconds."
    )
    ping_interval: float = Field(20, gt=0, le=3600, description="Seconds between pings to a connection.")
    pong_timeout: float = Field(10, gt=0, le=3600, description="Seconds to wait for a pong before closing.")
    slow_pong_timeout: float = Field(
        60, gt=0, le=3600, description="Seconds to wait for a pong while the client still has frames to read."
    )
    flush_interval: float = Field(
        3, gt=0, le=60, description="Seconds between writes of changed fields of session documents."
    )
    idle_evict: float = Field(
        60, gt=0, le=86_400, description="Minimum seconds that an unused session stays in memory."
    )
    drain_timeout: float = Field(
        8, gt=0, le=9, description="Longest time to finish what is in flight when the gateway stops, in seconds."
    )
    drain_delay: float = Field(
        0,
        ge=0,
        le=300,
        description="Seconds to keep serving after SIGTERM while not ready, so that a load balancer can notice.",
    )
    drain_spread: float = Field(
        0.5, ge=0, le=600, description="Seconds over which clients' reconnects after a goaway are spread."
    )
    poll_interval: float = Field(
        1, gt=0, le=60, description="Seconds between polls of a shared database for changes not reported through Redis."
    )
    feed_interval: float = Field(
        0.25, gt=0, le=60, description="Minimum seconds between two changes of one session on a feed."
    )
    long_poll_timeout: float = Field(
        20, gt=0, le=600, description="Longest time that a long-poll of a durable stream waits for news, in seconds."
    )
    header_timeout: float = Field(10, gt=0, le=600, description="Seconds that a client has to send request headers.")
    reconnect_after: float = Field(
        0.5,
        ge=0,
        le=600,
        description="Seconds that a client is asked to wait before it reconnects after a goaway, if no other gateway "
        "is there.",
    )
    webhook_timeout: float = Field(
        15, gt=0, le=120, description="Seconds within which a webhook's endpoint must answer."
    )
    max_turn: float = Field(
        0.002,
        ge=0,
        le=1,
        description="Most CPU for frames of one connection before others get a turn, in seconds; 0 means no limit.",
    )

"""Settings of how long things may take, in seconds."""

from __future__ import annotations

from pydantic import Field

from turnwire.gateway.config.sources import Settings


class TimeSettings(Settings):
    """Times, in seconds."""

    end_grace: float = Field(
        30, ge=0, le=86_400, description="How long after its end a session still takes events, in seconds."
    )
    abandon_after: float = Field(
        300, gt=0, le=604_800, description="A session without publisher or event for this many seconds ends as failed."
    )
    expire_after: float = Field(
        86_400,
        ge=0,
        le=31_536_000,
        description="A session without any event for this many seconds ends as failed, publisher or not; 0: never.",
    )
    storage_timeout: float = Field(
        30, gt=0, le=3600, description="Longest wait of a publisher's event for the storage, in seconds."
    )
    rest_timeout: float = Field(
        10, gt=0, le=3600, description="Longest wait of a REST write for the storage, in seconds."
    )
    ping_interval: float = Field(20, gt=0, le=3600, description="Seconds between pings to a connection.")
    pong_timeout: float = Field(10, gt=0, le=3600, description="Seconds to wait for a pong before closing.")
    slow_pong_timeout: float = Field(
        60, gt=0, le=3600, description="The same for a subscriber that still has frames to read, in seconds."
    )
    flush_interval: float = Field(
        3, gt=0, le=60, description="Seconds between writes of what changed on session documents."
    )
    idle_evict: float = Field(
        60, gt=0, le=86_400, description="Seconds an unused session stays in memory before it may leave."
    )
    drain_timeout: float = Field(
        8, gt=0, le=9, description="Seconds given to settle what is in flight when the gateway is told to stop."
    )
    drain_delay: float = Field(
        0,
        ge=0,
        le=300,
        description="Seconds to go on serving after SIGTERM, not ready any more, so that a load balancer can notice.",
    )
    drain_spread: float = Field(
        0.5, ge=0, le=600, description="Seconds over which clients are asked to spread their return after a goaway."
    )
    poll_interval: float = Field(
        1, gt=0, le=60, description="Seconds between looks into a shared database for what no Redis has told of."
    )
    feed_interval: float = Field(
        0.25, gt=0, le=60, description="Least seconds between two changes of one session on a feed."
    )
    header_timeout: float = Field(10, gt=0, le=600, description="Seconds a client has to send a request's headers.")
    reconnect_after: float = Field(
        0.5, ge=0, le=600, description="Seconds a client is asked to wait before it reconnects after a goaway."
    )
    max_turn: float = Field(
        0.002,
        ge=0,
        le=1,
        description="Seconds one connection's frames may take before others get a turn; 0 is no limit.",
    )

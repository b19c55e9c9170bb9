"""The amounts of work of a bench."""

from __future__ import annotations

from msgspec import Struct


class Scale(Struct, frozen=True, kw_only=True):
    """The amounts of work of each measure."""

    rounds: int
    """How often everything is measured, alternating floors and gateway. The medians are reported."""
    ingest_events: dict[int, int]
    """Events per frame → events of each of the 50 sessions."""
    sink_factor: int
    """How many times more events the sink gets, because it is that much faster than the gateway."""
    inserts: dict[str, int]
    """Size of a batch → number of batches."""
    paced_rates: list[int]
    paced_seconds: float
    live_calls: int
    live_seconds: float
    live_warm_up: float
    fanout: dict[int, int]
    """Subscribers → events."""
    fanout_paced: int
    """Events of a fan-out at a rate."""
    beside_seconds: float
    """How long other publishers send beside a fan-out."""
    idle: list[int]
    idle_publishers: int
    idle_seconds: float
    """How long the idle connections stay silent."""
    history: list[int]
    history_repeats: int
    posts: int
    calls: int
    call_concurrency: int
    replayed: int
    across: list[str]
    """What connects the gateways: `redis`, or nothing, in which case they are `polling`."""
    workers: list[int]
    bot_events: int
    bot_publishers: int
    bot_imports: int
    stall_events: int
    stall_utterances: int
    stall_changing: int
    stall_dashboards: int
    stall_large: int
    stall_settle: float
    storm_subscribers: int
    storm_sessions: int
    access_turns: int
    """How often gateways with and without a key are measured in one round."""


FULL = Scale(
    rounds=3,
    ingest_events={1: 500, 10: 1000},
    sink_factor=4,
    inserts={"1": 400, "10": 200, "100": 150},
    paced_rates=[200, 500, 1000],
    paced_seconds=5.0,
    live_calls=5000,
    live_seconds=20.0,
    live_warm_up=8.0,
    fanout={100: 1500, 1000: 300},
    fanout_paced=250,
    beside_seconds=2.0,
    idle=[2000, 8000],
    idle_publishers=1000,
    idle_seconds=3.0,
    history=[100, 1000, 10_000],
    history_repeats=10,
    posts=6400,
    calls=1500,
    call_concurrency=100,
    replayed=400,
    across=["redis", "polling"],
    workers=[1, 2],
    bot_events=20_000,
    bot_publishers=200,
    bot_imports=9,
    stall_events=100_000,
    stall_utterances=50_000,
    stall_changing=5000,
    stall_dashboards=10,
    stall_large=50,
    stall_settle=5.0,
    storm_subscribers=2000,
    storm_sessions=20,
    access_turns=5,
)
"""The scale of a real run, which takes a few minutes."""

SHORT = Scale(
    rounds=1,
    ingest_events={1: 20, 10: 40},
    sink_factor=1,
    inserts={"1": 10, "10": 2, "100": 1},
    paced_rates=[200],
    paced_seconds=0.3,
    live_calls=20,
    live_seconds=0.4,
    live_warm_up=0.0,
    fanout={20: 10},
    fanout_paced=10,
    beside_seconds=0.1,
    idle=[50, 100],
    idle_publishers=20,
    idle_seconds=0.1,
    history=[100, 200],
    history_repeats=1,
    posts=128,
    calls=20,
    call_concurrency=10,
    replayed=10,
    across=["redis"],
    workers=[2],
    bot_events=40,
    bot_publishers=5,
    bot_imports=1,
    stall_events=20,
    stall_utterances=20,
    stall_changing=4,
    stall_dashboards=2,
    stall_large=2,
    stall_settle=0.0,
    storm_subscribers=20,
    storm_sessions=4,
    access_turns=1,
)
"""The scale of a run that only shows that everything works. Its figures are meaningless."""

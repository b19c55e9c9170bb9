"""The goals for the figures: mostly ratios to floors of the same round, so that they hold on any machine."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from msgspec import Struct

from bench.meter import Figures


class Goal(Struct, frozen=True):
    name: str
    value: Callable[[Figures], float]
    """Computes the value from one round. Raises KeyError if a figure was not measured."""
    goal: float
    stretch: float
    at_least: bool = False
    """Whether the goal is a minimum; a maximum otherwise."""
    unit: str = ""

    def met(self, value: float, wanted: float) -> bool:
        return value >= wanted if self.at_least else value <= wanted


def _ingest(per_frame: int) -> Callable[[Figures], float]:
    return lambda found: (
        found[f"ingest_{per_frame}.server_us"] / (found[f"sink_{per_frame}.server_us"] + found["insert.client_us_100"])
    )


def _ratio(above: str, below: str) -> Callable[[Figures], float]:
    return lambda found: found[above] / found[below]


def _fanout(subscribers: str, floor: str = "floor") -> Callable[[Figures], float]:
    return _ratio(f"fanout_{subscribers}.server_us", f"fanout_{floor}_{subscribers}.server_us")


def _figure(name: str) -> Callable[[Figures], float]:
    return lambda found: found[name]


def _all_cpu(group: str) -> Callable[[Figures], float]:
    """The CPU time of gateway and database together."""
    return lambda found: found[f"{group}.server_us"] + found[f"{group}.database_us"]


def _depth(kind: str) -> Callable[[Figures], float]:
    return _ratio(f"history.{kind}_10000_cpu_us", f"history.{kind}_100_cpu_us")


def _longest_stop(found: Figures) -> float:
    stops = [value for name, value in found.items() if name.startswith("stall.") and name.endswith("_held_ms")]
    if not stops:
        raise KeyError("stall")
    return max(stops)


GOALS = [
    Goal("ingest, 1 a frame: CPU / (sink + insert at 100)", _ingest(1), 1.5, 1.3),
    Goal("ingest, 10 a frame: CPU / (sink + insert at 100)", _ingest(10), 1.3, 0.9),
    Goal(
        "durable events/s / insert floor at 100",
        _ratio("ingest_10.events_per_s", "insert.documents_per_s_100"), 0.8, 0.95, at_least=True,
    ),
    Goal(
        "paced 200/s: ack p50 / single insert p50",
        _ratio("paced_200.ack_p50_ms", "insert.paced_insert_p50_ms"), 2, 1.2,
    ),
    Goal("paced 200/s: ack p99", _figure("paced_200.ack_p99_ms"), 25, 10, unit="ms"),
    Goal("paced 200/s: subscriber beyond the ack, p50", _figure("paced_200.beyond_ack_p50_ms"), 2, 0.5, unit="ms"),
    Goal("paced 200/s: gateway CPU an event", _figure("paced_200.server_us"), 350, 250, unit="µs"),
    Goal("paced 1,000/s: gateway and database CPU an event", _all_cpu("paced_1000"), 400, 250, unit="µs"),
    Goal("paced 1,000/s: ack p50", _figure("paced_1000.ack_p50_ms"), 5, 3, unit="ms"),
    Goal("5,000 live calls: ack p50", _figure("live.ack_p50_ms"), 2, 1, unit="ms"),
    Goal("5,000 live calls: ack p99", _figure("live.ack_p99_ms"), 12, 6, unit="ms"),
    Goal("5,000 live calls: database cores", _figure("live.database_cores"), 0.45, 0.3),
    Goal("fan-out to 1,000, streamed: CPU a delivery / floor", _fanout("1000_streamed"), 1.2, 0.9),
    Goal("fan-out to 100, streamed: the same", _fanout("100_streamed"), 2, 1.3),
    Goal("fan-out to 1,000, one event at a time: the same", _fanout("1000"), 1.2, 0.9),
    Goal("fan-out to 100, one event at a time: the same", _fanout("100"), 2, 1.3),
    Goal("ack p50 of others beside a fan-out to 1,000", _figure("beside_1000.ack_p50_ms"), 3, 1.5, unit="ms"),
    Goal("fan-out to 100, 50/s: CPU a delivery, with the database's", _all_cpu("fanout_100_paced"), 18, 14, unit="µs"),
    Goal("fan-out to 1,000, one at a time: / floor that stores", _fanout("1000", "storing_floor"), 1.2, 0.9),
    Goal("fan-out to 100, one at a time: / floor that stores", _fanout("100", "storing_floor"), 2, 1.3),
    Goal("memory of 8,000 idle connections / floor", _ratio("idle.bytes_8000", "idle_floor.bytes_8000"), 1.3, 1.1),
    Goal("history pages: CPU at 10,000 / at 100 events", _depth("page"), 1.5, 1.2),
    Goal("history windows: CPU at 10,000 / at 100 events", _depth("window"), 1.5, 1.2),
    Goal(
        "whole calls a day, millions", lambda found: found["calls.calls_per_day"] / 1e6, 10, 15, at_least=True, unit="M"
    ),
    Goal("REST POST: CPU / floor", _ratio("rest.server_us", "rest_floor.server_us"), 1.6, 1.3),
    Goal("REST POST: CPU / floor that stores", _ratio("rest.server_us", "rest_storing_floor.server_us"), 1.5, 1.3),
    Goal(
        "delivery at another gateway over Redis, 200/s: beyond the ack, p99",
        _figure("across_redis_200.beyond_ack_p99_ms"), 50, 20, unit="ms",
    ),
    Goal("an event with a key: CPU / without", _ratio("access_key.server_us", "access_open.server_us"), 1.03, 1.01),
    Goal("longest stop beside heavy work, without waits for a core", _longest_stop, 10, 5, unit="ms"),
    Goal("after kill -9: listening", _figure("storm.listening_ms"), 500, 300, unit="ms"),
    Goal("after kill -9: 2,000 subscribers live again", _figure("storm.subscribers_all_ms"), 1500, 1000, unit="ms"),
    Goal(
        "an event nobody watches elsewhere: CPU with Redis / without",
        _ratio("unwatched_redis.server_us", "unwatched_polling.server_us"), 1.1, 1.03,
    ),
]  # fmt: skip


def _value(goal: Goal, figures: Figures) -> float | None:
    try:
        return goal.value(figures)
    except KeyError:
        return None


class GoalOutcome(Struct, frozen=True):
    """A goal, compared with the rounds."""

    name: str
    value: float
    """The median of the rounds."""
    lowest: float
    highest: float
    goal: float
    stretch: float
    unit: str
    at_least: bool
    met: bool
    stretch_met: bool


def outcomes(rounds: list[Figures]) -> list[GoalOutcome]:
    """Return the outcomes of the goals that at least one round measured completely."""
    found = []
    for goal in GOALS:
        values = [value for figures in rounds if (value := _value(goal, figures)) is not None]
        if not values:
            continue
        value = median(values)
        found.append(
            GoalOutcome(
                name=goal.name,
                value=value,
                lowest=min(values),
                highest=max(values),
                goal=goal.goal,
                stretch=goal.stretch,
                unit=goal.unit,
                at_least=goal.at_least,
                met=goal.met(value, goal.goal),
                stretch_met=goal.met(value, goal.stretch),
            )
        )
    return found

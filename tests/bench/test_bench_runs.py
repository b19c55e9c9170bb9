"""The bench itself: every measure and every floor runs and finds something. The figures mean nothing here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench.measures import Measures
from bench.processes import Processes
from bench.scale import SHORT
from tests.support.processes import ROOT, clean_environment

pytestmark = pytest.mark.e2e

FANOUT = (
    *("fanout_floor_{}", "fanout_floor_{}_streamed", "fanout_storing_floor_{}"),
    *("fanout_{}", "fanout_{}_streamed", "fanout_{}_paced", "beside_{}"),
)
GROUPS = {
    "insert", "sink_1", "ingest_1", "sink_10", "ingest_10", "paced_200", "idle_floor", "idle", "idle_publishers",
    "live", "across_redis_200", "unwatched_redis", "workers_2_1", "workers_2_10",
    "history", "rest_floor", "rest_storing_floor", "rest", "calls", "calls_in_turns", "replay", "bot", "stall", "storm",
    "access_open", "access_key",
    *(group.format(20) for group in FANOUT),
}  # fmt: skip


def run_bench(*arguments: str) -> str:
    command = [sys.executable, "-m", "bench", *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=clean_environment({"COLUMNS": "120"}),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(300)
def test_a_short_run_of_every_measure_finds_figures_and_writes_them(tmp_path: Path) -> None:
    recorded = ROOT / "turnwire" / "data" / "demo.ndjson"
    text = run_bench("--short", "--replay", str(recorded), "--save", "run", "--results", str(tmp_path))
    report = msgspec.json.decode((tmp_path / "run.json").read_bytes())
    assert {name.partition(".")[0] for name in report["medians"]} == GROUPS
    assert report["medians"]["calls.calls_per_s"] > 0
    assert report["medians"]["ingest_10.events_per_s"] > 0
    assert report["goals"] == [], "so little work is not held against the goals"
    assert "calls_per_day" in text
    assert "ingest_10" in (tmp_path / "run.txt").read_text()


def test_the_help_of_the_bench_names_every_measure() -> None:
    text = run_bench("--help")
    assert all(measure in text for measure in Measures(Processes(), SHORT, None).named())
    assert "--mongodb-uri" in text

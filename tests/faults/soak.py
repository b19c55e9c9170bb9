"""One long run under load with a random fault every few seconds: `python -m tests.faults.soak --minutes 20 --seed N`.

Sessions live for a minute or two; each is completed, and judged by everything its clients have seen. At the end all
logs are read once more. Exit status 0 means that no promise was broken. `--long-forms` plays the long forms of the
single fault runs instead, again and again.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random

import uvloop

from tests.faults.long_forms import RUNS, play_long_forms
from tests.faults.soak_faults import SoakFaults
from tests.support.faults.rig import eventually, now
from tests.support.load.fleet import report
from tests.support.soak.sessions import SoakSession, reread
from tests.support.soak.world import SoakWorld

FAULT_SECONDS = 5.0
PROGRESS_SECONDS = 10.0
RECOVERY_SECONDS = 120.0
"""All publishers must have acks again within this time after a fault, whatever happens meanwhile."""
SESSIONS = 20


class Soak:
    """One run. Owner of its faults and its figures."""

    def __init__(self, world: SoakWorld, seed: int) -> None:
        self._world = world
        self._random = Random(seed)
        self._faults = SoakFaults(world, Random(self._random.random()))
        self._done: Counter[str] = Counter()
        self._slowest = (0.0, "none")
        self._began = now()

    async def run(self, minutes: float) -> list[str]:
        """Return all violations. Raises TimeoutError or AssertionError for a fault that ends the run."""
        async with asyncio.TaskGroup() as group:
            sessions = group.create_task(self._world.serve_sessions())
            progress = group.create_task(self._tell_progress())
            await self._make_faults(self._began + minutes * 60, group)
            self._world.over.set()
            await sessions
            progress.cancel()
        took = now() - self._began
        wrong = [*self._world.tally.violations, *await self._reread()]
        if not self._world.tally.carried_out:
            wrong.append("no command was carried out: was one ever asked for?")
        self._report(took, wrong)
        return wrong

    async def _make_faults(self, end: float, group: asyncio.TaskGroup) -> None:
        next_one = now() + FAULT_SECONDS
        left: list[str] = []
        while next_one < end:
            await asyncio.sleep(next_one - now())
            left = left or self._random.sample(sorted(self._faults.kinds), len(self._faults.kinds))  # each in turn
            kind = left.pop()
            await self._faults.kinds[kind]()
            self._done[kind] += 1
            group.create_task(self._measure_recovery(kind, now()))
            next_one = max(next_one + FAULT_SECONDS, now())

    async def _measure_recovery(self, kind: str, since: float) -> None:
        for session in self._world.living:
            await eventually(
                lambda session=session: _has_recovered(session, since),  # type: ignore[misc]
                f"acks for {session.history.session_id} after {kind}",
                RECOVERY_SECONDS,
            )
        self._slowest = max(self._slowest, (now() - since, kind))

    async def _tell_progress(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            self._world.measure()
            tally, seconds = self._world.tally, now() - self._began
            print(
                f"{seconds:5.0f} s: acks={self._world.acks} sessions_judged={tally.sessions} stored={tally.stored} "
                f"violations={len(tally.violations)} faults={self._done.total()}",
                flush=True,
            )

    async def _reread(self) -> list[str]:
        """Return what has changed in the logs of all sessions since they were judged, some of them long ago."""
        print("the logs of all sessions are read once more", flush=True)
        finished = self._world.tally.finished
        shares = [finished[start::4] for start in range(4)]
        found = await asyncio.gather(*(reread(self._world.rest, share) for share in shares))
        return [text for texts in found for text in texts]

    def _report(self, took: float, wrong: list[str]) -> None:
        tally = self._world.tally
        for kind, times in sorted(self._done.items()):
            print(f"  {kind}: {times}")
        for text in wrong[:50]:
            print(text)
        report(
            "soak",
            self._world.seed,
            gateways=len(self._world.gateways),
            minutes=took / 60,
            sessions=tally.sessions,
            events=tally.stored,
            events_per_s=tally.stored / took,
            acks=tally.acks,
            duplicates_answered=tally.duplicates,
            delivered=tally.delivered,
            commands=tally.commands,
            carried_out=tally.carried_out,
            claims=tally.claims,
            subscriptions=tally.subscriptions,
            p50_ms=tally.percentile(0.5),
            p99_ms=tally.percentile(0.99),
            faults=self._done.total(),
            slowest_recovery_s=self._slowest[0],
            slowest_after=self._slowest[1],
            gateway_peak_rss_mib=self._world.peak_rss / 2**20,
            violations=len(wrong),
        )


def _has_recovered(session: SoakSession, since: float) -> bool:
    acked = session.owner.acked
    return not session.live or (bool(acked) and acked[-1][0] >= since)


async def _soak(directory: Path, minutes: float, seed: int, rate: float, gateways: int) -> list[str]:
    async with SoakWorld.running(directory, seed, sessions=SESSIONS, rate=rate, gateways=gateways) as world:
        return await Soak(world, seed).run(minutes)


def soak(minutes: float, seed: int, rate: float, gateways: int) -> bool:
    """Run the soak. Return whether no promise was broken; if so, remove the directory of the run."""
    directory = Path(tempfile.mkdtemp(prefix="turnwire-soak-"))
    try:
        kept = not uvloop.run(_soak(directory, minutes, seed, rate, gateways))
    except BaseException:
        traceback.print_exc()
        kept = False
    if kept:
        shutil.rmtree(directory)
    print(f"FAULTS soak seed={seed}: " + ("all promises were kept" if kept else f"FAILED, see {directory}"), flush=True)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description="One long run under load with a random fault every five seconds.")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument(
        "--rate",
        type=float,
        help="events a second, of all publishers together; 1,100, or 400 for several gateways",
    )
    parser.add_argument("--gateways", type=int, default=1, help="this many at a time, with Redis between them")
    parser.add_argument("--long-forms", action="store_true", help="the long forms of the single fault runs instead")
    parser.add_argument("--only", choices=RUNS, action="append", help="with --long-forms; may be given several times")
    given = parser.parse_args()
    print(f"FAULTS soak: {given.minutes:g} minutes from seed {given.seed}", flush=True)
    if given.long_forms or given.only:
        kept = play_long_forms(given.minutes, given.seed, given.only or [])
    else:
        rate = given.rate or (1100.0 if given.gateways == 1 else 400.0)
        kept = soak(given.minutes, given.seed, rate, given.gateways)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()

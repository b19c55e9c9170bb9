"""What the client library costs a bot: its import, an idle publisher, an event. Everything runs in the bot's own
process."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time

from msgspec import Struct

from bench.meter import Figures, Target, resident_bytes
from turnwire import Publisher

_BURST = 500
_IMPORTS = """
import time
began = time.process_time()
import aiohttp, msgspec
theirs = time.process_time()
import turnwire
turnwire.Publisher
print((theirs - began) * 1000, (time.process_time() - theirs) * 1000)
"""


class Bot(Struct, frozen=True, kw_only=True, tag=True):
    """`events` are posted in bursts, then half as many one after the other. `publishers` are open at the same time."""

    target: Target
    prefix: str
    events: int
    publishers: int
    imports: int

    async def run(self) -> Figures:
        """Return milliseconds of imports, bytes of an open publisher, and microseconds of an event: for the call that
        posts it, and until it is acked. All times are CPU times of the process, which depend least on what else runs.
        """
        figures = self._import()
        figures |= await self._open()
        async with Publisher(self.target.url, f"{self.prefix}-bot") as call:
            figures |= await self._post_in_bursts(call)
            figures |= await self._post_one_by_one(call)
        return figures

    def _import(self) -> Figures:
        pairs = []
        for _ in range(self.imports):
            done = subprocess.run([sys.executable, "-c", _IMPORTS], capture_output=True, text=True, check=True)
            pairs.append([float(part) for part in done.stdout.split()])
        theirs, ours = (statistics.median(times) for times in zip(*pairs, strict=True))
        return {"import_dependencies_ms": theirs, "import_ms": ours}

    async def _open(self) -> Figures:
        calls = [Publisher(self.target.url, f"{self.prefix}-{number}") for number in range(self.publishers + 1)]
        await calls[0].open()  # the first publisher also brings what all of them share
        before = resident_bytes(os.getpid())
        for call in calls[1:]:
            await call.open()
        figures = {"publisher_bytes": (resident_bytes(os.getpid()) - before) / self.publishers}
        await asyncio.gather(*(call.close() for call in calls))
        return figures

    async def _post_in_bursts(self, call: Publisher) -> Figures:
        posting, began = 0.0, time.process_time()
        for first in range(0, self.events, _BURST):
            burst = min(_BURST, self.events - first)
            start = time.process_time()
            for number in range(first, first + burst):
                _post(call, number)
            posting += time.process_time() - start
            await call.flush()
        cpu = time.process_time() - began
        return {"post_us": posting / self.events * 1e6, "cpu_us": cpu / self.events * 1e6}

    async def _post_one_by_one(self, call: Publisher) -> Figures:
        count, began = self.events // 2, time.process_time()
        for number in range(count):
            _post(call, number)
            await call.flush()
        return {"cpu_alone_us": (time.process_time() - began) / count * 1e6}


def _post(call: Publisher, number: int) -> None:
    call.post("user_speech", {"text": "Could I have a table for two at eight, please?", "turn": number})

"""Runs one load in this process: `python -m bench.load`, with the load as JSON on stdin and its figures on stdout."""

from __future__ import annotations

import asyncio
import gc
import resource
import sys

import msgspec
import uvloop

from bench.loads.bot import Bot
from bench.loads.calls import Calls
from bench.loads.fanout import Fanout
from bench.loads.idle import Idle
from bench.loads.ingest import Ingest
from bench.loads.insert import Insert
from bench.loads.paced import Paced
from bench.loads.requests import History, Posts
from bench.loads.stall import Stall
from bench.loads.storm import Storm
from bench.meter import Figures

Load = Bot | Calls | Fanout | History | Idle | Ingest | Insert | Paced | Posts | Stall | Storm
SECONDS = 240.0
"""The longest time that a load may take."""


async def _run(load: Load) -> Figures:
    async with asyncio.timeout(SECONDS):
        return await load.run()


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    gc.disable()  # the process is short-lived, and pauses would count as the server's
    figures = uvloop.run(_run(load))
    sys.stdout.buffer.write(msgspec.json.encode(figures))


if __name__ == "__main__":
    main()

"""A publisher in its own process, which can be stopped and woken: `python -m tests.support.load.process …`.

It reads commands, one on each line. `publish` connects and publishes until another publisher takes over. `finish`
publishes until all its events are answered, writes its history, and exits. It prints `opened`, `superseded` and
`finished`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from random import Random

import aiohttp
import uvloop

from tests.support.history import History, save
from tests.support.load.client import Target
from tests.support.load.publishers import LoadPublisher


class _Telling(LoadPublisher):
    def told_opened(self) -> None:
        print("opened", flush=True)


async def _commands() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("url", "process", "session", "name", "seed", "rate", "history"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    history = History(given.session)
    commands = await _commands()
    async with aiohttp.ClientSession() as http:
        publisher = _Telling(
            http,
            Target(given.url, given.process),
            given.name,
            Random(given.seed),
            history=history,
            rate=float(given.rate),
        )
        while command := (await commands.readline()).decode().strip():
            publisher.superseded = False
            if command == "finish":
                publisher.finish()
            await publisher.run()
            print("superseded" if publisher.superseded else "finished", flush=True)
            if command == "finish":
                break
    save([history], Path(given.history))


if __name__ == "__main__":
    uvloop.run(main())

"""Bots whose program ends while their calls go on: `python closing_bots.py URL CALLS EVENTS`."""

from __future__ import annotations

import asyncio
import sys

from turnwire import Publisher

BOTS: list[asyncio.Task[None]] = []


async def bot(url: str, session_id: str, events: int) -> None:
    async with Publisher(url, session_id, wait=False) as call:
        for number in range(events):
            call.post("system", {"n": number})
        await asyncio.Event().wait()


async def main(url: str, calls: int, events: int) -> None:
    BOTS.extend(asyncio.create_task(bot(url, f"call-{n}", events)) for n in range(calls))
    await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))

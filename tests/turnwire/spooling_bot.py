"""A bot that streams numbered events with a spool, to be killed at any moment and started again.

    python spooling_bot.py URL SESSION SPOOL NOTES [more]

It notes each number in the file NOTES once `send` has returned, and goes on after the last one noted. With `more` it
sends that many events and ends the session; otherwise it goes on for ever.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from turnwire import Publisher

MAX_OUTBOX = 200


async def stream(call: Publisher, numbers: Iterable[int], notes: int) -> None:
    async with call:
        for n in numbers:
            await call.send("system", {"n": n}, f"e{n}")
            os.write(notes, b"%d\n" % n)
        await call.complete()


def main() -> None:
    url, session_id, spool, notes_path, *more = sys.argv[1:]
    noted = Path(notes_path).read_text().split() if Path(notes_path).exists() else []
    notes = os.open(notes_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    first = len(noted)
    numbers = range(first, first + int(more[0])) if more else count(first)
    call = Publisher(url, session_id, spool=spool, max_outbox=MAX_OUTBOX, connect_timeout=None)
    asyncio.run(stream(call, numbers, notes))


if __name__ == "__main__":
    main()

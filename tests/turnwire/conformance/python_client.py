"""The Python client, as `turnwire conformance` runs it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from turnwire import Publisher, subscribe
from turnwire.errors import EventsRejected


async def main(
    say: Callable[[object], None], program: str, url: str, session_id: str, count: str = "0", *, codec: Any = "json"
) -> None:
    if program == "follow":
        async for event in subscribe(url, session_id, until_ended=True, codec=codec):
            say(event.seq)
        return
    async with Publisher(url, session_id, codec=codec) as call:
        for n in range(1, int(count) + 1):
            await call.send("user_speech", {"n": n}, f"e{n}")
        try:
            await call.complete()
        except EventsRejected:
            say("an event was refused")


if __name__ == "__main__":
    asyncio.run(main(print, *sys.argv[1:]))

"""A bot that can be killed at any moment and restarted: it continues where it left off.

python examples/restart.py [http://127.0.0.1:3000 [SESSION [SPOOL]]]    # kill -9 it, and start it again

An event stays in the spool from the return of `send` until it is in the log. Once a restarted bot has sent the events
left over, the log shows how far the bot had got. It needs no other record.
"""

from __future__ import annotations

import asyncio
import sys

from turnwire import Client, Event, Publisher

TURNS = 20


async def last_event(url: str, session_id: str, last_seq: int) -> Event | None:
    async with Client(url) as client:
        events = (await client.events(session_id, after_seq=max(0, last_seq - 1))).events
    return events[-1] if events else None


async def main(url: str, session_id: str, spool: str) -> None:
    async with Publisher(url, session_id, language="en", spool=spool) as call:
        left = call.pending
        await call.flush()  # the events left by the last process are in the log now
        async with Client(url) as client:
            session = await client.get(session_id)
        last = await last_event(url, session_id, session.last_seq)
        turn = 0 if last is None else last.payload["turn"]
        print(f"{left} events were left over; continuing after turn {turn}")
        while turn < TURNS:
            turn += 1
            await call.send("bot_speech", {"text": f"This is turn {turn}.", "turn": turn})
            await asyncio.sleep(0.1)
        session = await call.complete()
    print(f"{session.session_id} is {session.status} with {session.last_seq} events")


if __name__ == "__main__":
    given = sys.argv[1:]
    defaults = ["http://127.0.0.1:3000", "call-restart", "call-restart.spool"]
    asyncio.run(main(*[*given, *defaults[len(given) :]][:3]))

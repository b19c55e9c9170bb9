"""Follow one session from its first word to its end, whatever happens to the connection.

python examples/subscribe.py SESSION [http://127.0.0.1:3000]
"""

from __future__ import annotations

import asyncio
import sys

from turnwire import errors, subscribe


async def main(session_id: str, url: str) -> None:
    try:
        async for event in subscribe(url, session_id, until_ended=True):
            print(f"{event.seq:4}  {event.timestamp}  {event.type:12} {event.payload.get('text') or event.payload}")
    except errors.SessionNotFound:
        print(f"there is no session {session_id!r} at {url}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:3000"))

"""Show how many calls are running, and which ones begin, change or end.

python examples/dashboard_feed.py [http://127.0.0.1:3000]
"""

from __future__ import annotations

import asyncio
import sys

from turnwire import follow_sessions


async def main(url: str) -> None:
    live: set[str] = set()
    async for session in follow_sessions(url, status=["initiated", "active"]):
        if session.status in ("initiated", "active"):
            news = "began" if session.session_id not in live else f"has {session.last_seq} events"
            live.add(session.session_id)
        else:
            news = f"{session.status} ({session.end_reason or 'no reason given'})"
            live.discard(session.session_id)
        print(f"{len(live)} live: {session.session_id} {news}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:3000"))

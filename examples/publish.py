"""A bot that streams one call: what is said, interim transcripts, and the end.

python examples/publish.py [http://127.0.0.1:3000]
"""

from __future__ import annotations

import asyncio
import sys
import uuid

from turnwire import Acked, Publisher


def print_ack(ack: Acked) -> None:
    print(f"  event {ack.seq} is stored, {ack.latency * 1000:.1f} ms after it was sent")


async def main(url: str) -> None:
    session_id = f"call-{uuid.uuid4().hex[:8]}"
    print(f"watch it with: turnwire tail {session_id} --url {url}")
    async with Publisher(url, session_id, language="en", metadata={"bot": "example"}, on_ack=print_ack) as call:
        call.post("system", {"event": "call.started"})
        call.post("bot_speech", {"text": "Hello, how can I help?"})
        for words in ("I'd", "I'd like", "I'd like a table"):
            call.hint("user_speech", {"text": words})
            await asyncio.sleep(0.3)
        call.post("user_speech", {"text": "I'd like a table for two."})
        call.post("bot_speech", {"text": "For tonight?"})
        session = await call.complete(reason="user_hangup")
    print(f"{session.session_id} is {session.status} with {session.last_seq} events")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:3000"))

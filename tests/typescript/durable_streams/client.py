"""Writes a call to STREAM_URL with the protocol's own client, and follows it in both ways. Prints what it has read.

The client knows neither producers nor how to close a stream, so it numbers its requests, and counts what it reads.
"""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
from typing import Any

from durable_streams import AsyncDurableStream, astream

URL = os.environ["STREAM_URL"]
COUNT = 50


async def follow(live: str | bool) -> list[Any]:
    items: list[Any] = []
    async with astream(URL, offset="-1", live=live) as reading:
        async for item in reading.iter_json():
            items.append(item)
            if len(items) == COUNT:
                break
    return items


async def main() -> None:
    created = await AsyncDurableStream.create(URL, content_type="application/json", headers={"Content-Language": "de"})
    following = [asyncio.create_task(follow("sse")), asyncio.create_task(follow("long-poll"))]
    for n in range(1, COUNT + 1):
        event = {"type": "user_speech" if n % 2 else "bot_speech", "payload": {"text": f"line {n}"}}
        await created.append(event, seq=f"{n:03}")
    sse, long_poll = await asyncio.gather(*following)
    closing = urllib.request.Request(URL, headers={"Stream-Closed": "true"}, method="POST")
    await asyncio.to_thread(urllib.request.urlopen, closing)
    print(json.dumps({"failures": [], "sse": sse, "longPoll": long_poll, "caughtUp": await follow(False)}))


asyncio.run(main())

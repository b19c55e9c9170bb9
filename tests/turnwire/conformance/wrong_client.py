"""A client that does wrong what can be done wrong, as `turnwire conformance` runs it.

It sends everything at once, waits for as many answers as there are events, encodes no path, knows no close code,
connects again at once, follows from the beginning again, answers no ping, and takes what it gets for what it expects:
one ack in a message, integers of 53 bits.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import WSMsgType

ATTEMPTS = 5


async def publish(http: aiohttp.ClientSession, url: str, session_id: str, count: int) -> None:
    sent = 0
    for _ in range(ATTEMPTS):
        try:
            path = f"/sessions/{session_id}/publish"
            async with http.ws_connect(url + path, autoping=False, max_msg_size=32768) as ws:
                await ws.receive_json()
                for n in range(sent + 1, count + 1):
                    event = {"eventId": f"e{n}", "type": "user_speech", "payload": {"n": n}}
                    await ws.send_json({"type": "append", "events": [event]})
                    sent = n
                acks = 0
                while acks < count:
                    acks += bool((await ws.receive_json())["acks"])
                await ws.send_json({"type": "complete"})
                while (await ws.receive()).type is WSMsgType.TEXT:
                    pass
                return
        except (aiohttp.ClientError, TypeError):
            continue


def _with_doubles(text: str) -> Any:
    return json.loads(text, parse_int=_double)


def _double(digits: str) -> int:
    if int(digits) != int(float(digits)):
        raise TypeError(f"{digits} is no double")
    return int(digits)


async def follow(http: aiohttp.ClientSession, url: str, session_id: str, say: Callable[[object], None]) -> None:
    for _ in range(ATTEMPTS):
        try:
            async with http.ws_connect(f"{url}/subscribe", autoping=False, max_msg_size=32768) as ws:
                await ws.send_json({"type": "subscribe", "ref": "a", "sessionId": session_id, "afterSeq": 0})
                while True:
                    message = await ws.receive_json(loads=_with_doubles)
                    for event in message.get("events", []):
                        say(event["seq"])
                    if message["type"] == "session":
                        return
        except (aiohttp.ClientError, TypeError):
            continue


async def main(say: Callable[[object], None], program: str, url: str, session_id: str, count: str = "0") -> None:
    async with aiohttp.ClientSession() as http:
        if program == "publish":
            await publish(http, url, session_id, int(count))
        else:
            await follow(http, url, session_id, say)


if __name__ == "__main__":
    asyncio.run(main(print, *sys.argv[1:]))

"""Bare aiohttp servers on uvloop that do the minimum: `python -m bench.floors NAME`.

They speak enough of the protocol for the loads. Most store nothing. Those named `…-stored` insert each event before
they answer it, as simply as possible, into the database DATABASE of MONGODB_URI.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import uvloop
from aiohttp import WSMsgType, web
from motor.motor_asyncio import AsyncIOMotorClient

from turnwire.protocol.messages import Ack, AckItem, Append, Event, EventIn, PublisherCommand

READY = "listening on "
_OPENED = b'{"type":"opened"}'
_CAUGHT_UP = b'{"type":"caughtUp"}'


class Inserts:
    """A writer with one `insert_many` at a time. Each inserts all events that arrived during the one before."""

    def __init__(self) -> None:
        client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
            os.environ["MONGODB_URI"], w="majority", journal=True
        )
        self._collection = client[os.environ["DATABASE"]]["events"]
        self._waiting: list[tuple[dict[str, Any], asyncio.Future[None]]] = []
        self._inserting: asyncio.Task[None] | None = None
        self._count = 0

    async def store(self, session_id: str, event: EventIn) -> None:
        """Store an event, and wait until it is durable."""
        self._count += 1
        document = {
            "_id": f"{session_id}/{self._count:010d}",
            "eventId": event.event_id,
            "type": event.type,
            "payload": event.payload,
        }
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((document, done))
        if self._inserting is None:
            self._inserting = asyncio.create_task(self._insert())
        await done

    async def _insert(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            await self._collection.insert_many([document for document, _ in batch], ordered=True)
            for _, done in batch:
                done.set_result(None)
        self._inserting = None


async def _socket(request: web.Request) -> web.WebSocketResponse[bool]:
    ws: web.WebSocketResponse[bool] = web.WebSocketResponse(compress=False, decode_text=False)
    await ws.prepare(request)
    return ws


def sink() -> web.Application:
    """Make a server that decodes frames by a tagged union and acks events, in one frame for all events read at once."""
    decode = msgspec.json.Decoder(PublisherCommand).decode
    encode = msgspec.json.Encoder().encode

    async def publish(request: web.Request) -> web.StreamResponse:
        ws = await _socket(request)
        await ws.send_frame(_OPENED, WSMsgType.TEXT)
        loop = asyncio.get_running_loop()
        acks: list[AckItem] = []
        answering: asyncio.Task[None] | None = None
        seq = 0

        async def answer() -> None:
            nonlocal acks, answering
            answering = None
            batch, acks = acks, []
            await ws.send_frame(encode(Ack(batch)), WSMsgType.TEXT)

        async for message in ws:
            command = decode(message.data)
            if isinstance(command, Append):
                for event in command.events:
                    seq += 1
                    acks.append(AckItem(event.event_id, seq))
                if answering is None:
                    answering = loop.create_task(answer())
        return ws

    app = web.Application()
    app.router.add_get("/sessions/{session_id}/publish", publish)
    return app


def fanout(inserts: Inserts | None = None) -> web.Application:
    """Make a server that sends a fixed frame to all subscribers for each frame of the publisher."""
    decode = msgspec.json.Decoder(Append).decode
    subscribers: set[web.WebSocketResponse[bool]] = set()
    event = Event("call-00001", "call", "user_speech", {"text": "word " * 20, "final": True}, "2025-01-01T00:00:00Z", 1)
    push = msgspec.json.encode({"type": "events", "ref": "a", "sessionId": "call", "events": [event]})
    ack = msgspec.json.encode(Ack([AckItem("call-00001", 1)]))

    async def publish(request: web.Request) -> web.StreamResponse:
        ws = await _socket(request)
        await ws.send_frame(_OPENED, WSMsgType.TEXT)
        async for message in ws:
            if inserts is not None:
                [event] = decode(message.data).events
                await inserts.store(request.match_info["session_id"], event)
            await ws.send_frame(ack, WSMsgType.TEXT)
            for subscriber in subscribers:
                await subscriber.send_frame(push, WSMsgType.TEXT)
        return ws

    async def subscribe(request: web.Request) -> web.StreamResponse:
        ws = await _socket(request)
        async for _ in ws:
            subscribers.add(ws)
            await ws.send_frame(_CAUGHT_UP, WSMsgType.TEXT)
        subscribers.discard(ws)
        return ws

    app = web.Application()
    app.router.add_get("/sessions/{session_id}/publish", publish)
    app.router.add_get("/subscribe", subscribe)
    return app


def idle() -> web.Application:
    """Make a server that accepts WebSockets and waits."""

    async def subscribe(request: web.Request) -> web.StreamResponse:
        ws = await _socket(request)
        async for _ in ws:
            pass
        return ws

    app = web.Application()
    app.router.add_get("/subscribe", subscribe)
    return app


def rest(inserts: Inserts | None = None) -> web.Application:
    """Make a server that decodes an event and answers it, once stored if there are `inserts`."""
    decode = msgspec.json.Decoder(EventIn).decode
    encode = msgspec.json.Encoder().encode

    async def create(request: web.Request) -> web.Response:
        return web.Response(body=await request.read(), content_type="application/json")

    async def append(request: web.Request) -> web.Response:
        event = decode(await request.read())
        session_id = request.match_info["session_id"]
        if inserts is not None:
            await inserts.store(session_id, event)
        stored = Event(event.event_id, session_id, event.type, event.payload, "2025-01-01T00:00:00.000Z", 1)
        return web.Response(status=201, body=encode(stored), content_type="application/json")

    app = web.Application()
    app.router.add_post("/sessions", create)
    app.router.add_post("/sessions/{session_id}/events", append)
    return app


FLOORS: dict[str, Callable[[], web.Application]] = {
    "sink": sink,
    "fanout": fanout,
    "fanout-stored": lambda: fanout(Inserts()),
    "idle": idle,
    "rest": rest,
    "rest-stored": lambda: rest(Inserts()),
}


async def _serve(name: str) -> None:
    runner = web.AppRunner(FLOORS[name](), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
    print(f"{READY}http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))

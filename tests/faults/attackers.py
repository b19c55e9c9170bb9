"""Clients that attack for as long as their process lives: `python -m tests.faults.attackers NAME URL`."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import msgspec

from tests.faults.crowds import CROWDS
from tests.faults.floods import FLOODS
from tests.support.gateways import new_event
from tests.support.sockets import PING, client_frame, publish_path
from turnwire.protocol.codec import SUBPROTOCOL_MSGPACK

BOMB = gzip.compress(bytes(64 * 1024 * 1024), 6)
"""A body that is 1,000 times as large when inflated."""
LARGE = {"items": [{"a": [number]} for number in range(4000)]}
"""Metadata of 60 KB, which takes much more in memory."""
LARGE_SESSIONS = 300
LONG = "long"
"""The session whose log is exported."""


@asynccontextmanager
async def raw_socket(url: str, path: str) -> AsyncIterator[asyncio.StreamWriter]:
    """Open a WebSocket that is written to and never read."""
    port = int(url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    writer.write(f"{head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
    try:
        yield writer
    finally:
        writer.transport.abort()


async def small_frames(url: str, _client: aiohttp.ClientSession) -> None:
    """Send bad messages of one byte without a pause, on one connection after the other."""
    frames = client_frame(b"x") * 5000
    while True:
        async with raw_socket(url, "/subscribe") as writer:
            with suppress(ConnectionError):
                for _ in range(40):
                    writer.write(frames)
                    await writer.drain()


async def pings(url: str, _client: aiohttp.ClientSession) -> None:
    """Send pings without a pause, and read no pong."""
    frames = client_frame(b"", PING) * 5000
    while True:
        async with raw_socket(url, "/subscribe") as writer:
            with suppress(ConnectionError):
                for _ in range(200):
                    writer.write(frames)
                    await writer.drain()


async def short_floods(url: str, _client: aiohttp.ClientSession) -> None:
    """Send as many small frames as a socket takes at once, and leave."""
    frames = client_frame(b"x") * 40_000
    while True:
        async with raw_socket(url, "/subscribe") as writer:
            writer.write(frames)
            await asyncio.sleep(0.01)


async def bombs(url: str, client: aiohttp.ClientSession) -> None:
    """Send compressed bodies, which the gateway must not inflate."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    while True:
        with suppress(aiohttp.ClientError):
            async with client.post(f"{url}/sessions", data=BOMB, headers=headers) as answer:
                assert answer.status == 415
        await asyncio.sleep(0)


# --- frames that cost much ------------------------------------------------------------------------------------------


async def _frames(url: str, client: aiohttp.ClientSession, path: str, frame: str | bytes) -> None:
    """Send the same frame again as soon as the one before is answered."""
    protocols = (SUBPROTOCOL_MSGPACK,) if isinstance(frame, bytes) else ()
    while True:
        with suppress(aiohttp.ClientError, ConnectionError):
            async with client.ws_connect(url + path, protocols=protocols) as socket:
                for _ in range(10):
                    await (socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_str(frame))
                    await socket.receive(timeout=20)


async def containers(url: str, client: aiohttp.ClientSession) -> None:
    """Send frames of a third of a million empty arrays."""
    payload = '{"type":"signal","key":"k","payload":{"a":[' + ",".join(["[]"] * 330_000) + "]}}"
    await _frames(url, client, publish_path("bad", "en"), payload)


async def packed_containers(url: str, client: aiohttp.ClientSession) -> None:
    """Send frames of strings that look like containers."""
    message = {"type": "signal", "key": "k", "payload": {"a": ["\x10"] * 300_000}}
    await _frames(url, client, publish_path("bad", "en"), msgspec.msgpack.encode(message).replace(b"\x10", b"\x90"))


async def long_refs(url: str, client: aiohttp.ClientSession) -> None:
    """Send pings whose ref has half a million elements to echo."""
    await _frames(url, client, "/subscribe", '{"type":"ping","ref":[' + ",".join(["1"] * 500_000) + "]}")


async def broken_texts(url: str, client: aiohttp.ClientSession) -> None:
    """Send frames of surrogate pairs that break off."""
    await _frames(url, client, publish_path("bad", "en"), '{"type":"' + "\\ud83d\\ude00" * 85_000)


async def lone_surrogates(url: str, client: aiohttp.ClientSession) -> None:
    await _frames(url, client, publish_path("bad", "en"), '{"type":"' + "\\ud83d" * 170_000 + '"}')


async def deep_texts(url: str, client: aiohttp.ClientSession) -> None:
    """Send frames that are too deep and have many strings besides."""
    deep = "[" * 2000 + "]" * 2000
    frame = f'{{"type":"append","x":{deep},"y":[' + '"",' * 330_000 + "1]}"
    await _frames(url, client, publish_path("bad", "en"), frame)


async def deep_values(url: str, client: aiohttp.ClientSession) -> None:
    """Send the same in MessagePack."""
    frame = b"\x82\xa4type\xa6append\xa1x" + b"\x91" * 2000 + b"\xdd\x00\x07\x00\x00" + b"\xa1a" * 0x70000
    await _frames(url, client, publish_path("bad", "en"), frame)


# --- much that is asked for, and not read ---------------------------------------------------------------------------


async def _at_once(count: int, again: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Repeat this without end, this many times concurrently."""

    async def endlessly() -> None:
        while True:
            with suppress(aiohttp.ClientError, ConnectionError):
                await again()

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(endlessly())


async def large_sessions(url: str, client: aiohttp.ClientSession) -> None:
    """Create sessions with large metadata."""

    async def again() -> None:
        async with client.post(f"{url}/sessions", json={"language": "en", "metadata": LARGE}) as answer:
            await answer.read()

    await _at_once(4, again)


async def make_large_sessions(url: str, client: aiohttp.ClientSession) -> None:
    for number in range(LARGE_SESSIONS):
        body = {"sessionId": f"large-{number}", "language": "en", "metadata": LARGE}
        async with client.post(f"{url}/sessions", json=body) as answer:
            assert answer.status in (200, 201), await answer.text()


async def lists(url: str, client: aiohttp.ClientSession) -> None:
    """Ask for long lists of large sessions, thirty at once."""

    async def again() -> None:
        async with client.get(f"{url}/sessions?limit=100") as answer:
            await answer.read()

    await _at_once(30, again)


async def snapshots(url: str, _client: aiohttp.ClientSession) -> None:
    """Subscribe to feeds of large sessions, and read nothing."""
    commands = [{"type": "subscribe", "ref": f"f{n}", "feed": "sessions"} for n in range(4)]
    subscribe = b"".join(client_frame(json.dumps(each).encode()) for each in commands)

    async def again() -> None:
        async with raw_socket(url, "/subscribe") as writer:
            writer.write(subscribe)
            await asyncio.sleep(2)

    await _at_once(100, again)


async def make_large_log(url: str, client: aiohttp.ClientSession) -> None:
    async with client.ws_connect(url + publish_path(LONG, "en")) as socket:
        await socket.receive_json()
        for number in range(300):
            event = new_event(f"e{number}", {"text": "x" * 100_000})
            await socket.send_str(json.dumps({"type": "append", "events": [event]}))
            await socket.receive_json()


async def exports(url: str, _client: aiohttp.ClientSession) -> None:
    """Request exports of a large log, and read nothing."""
    port = int(url.rpartition(":")[2])
    head = f"GET /sessions/{LONG}/events HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n".encode()

    async def again() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(head)
        await asyncio.sleep(2)
        writer.transport.abort()

    await _at_once(50, again)


Attack = Callable[[str, aiohttp.ClientSession], Coroutine[Any, Any, None]]
ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        *(
            small_frames,
            pings,
            short_floods,
            bombs,
            containers,
            packed_containers,
            long_refs,
            broken_texts,
            lone_surrogates,
        ),
        *(deep_texts, deep_values, large_sessions, lists, snapshots, exports),
    )
}
SETUPS: dict[str, Attack] = {"lists": make_large_sessions, "snapshots": make_large_sessions, "exports": make_large_log}
"""What is made before some of them."""


async def main(name: str, url: str) -> None:
    async with aiohttp.ClientSession() as client:
        print("attacking", flush=True)
        await (ATTACKS | CROWDS | FLOODS)[name](url, client)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

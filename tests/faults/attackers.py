"""Clients that attack for as long as their process lives: `python -m tests.faults.attackers NAME URL`."""

from __future__ import annotations

import asyncio
import gzip
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp

from tests.support.sockets import client_frame, publish_path

BOMB = gzip.compress(bytes(64 * 1024 * 1024), 6)
"""A body that is 1,000 times as large when inflated."""


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


async def bombs(url: str, client: aiohttp.ClientSession) -> None:
    """Send compressed bodies, which the gateway must not inflate."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    while True:
        with suppress(aiohttp.ClientError):
            async with client.post(f"{url}/sessions", data=BOMB, headers=headers) as answer:
                assert answer.status == 415
        await asyncio.sleep(0)


async def containers(url: str, client: aiohttp.ClientSession) -> None:
    """Send frames of a million empty arrays."""
    payload = '{"type":"signal","key":"k","payload":{"a":[' + ",".join(["[]"] * 330_000) + "]}}"
    while True:
        with suppress(aiohttp.ClientError, ConnectionError):
            async with client.ws_connect(url + publish_path("bad", "en")) as socket:
                for _ in range(10):
                    await socket.send_str(payload)
                    await socket.receive(timeout=20)


async def long_refs(url: str, client: aiohttp.ClientSession) -> None:
    """Send pings whose ref has a million elements to echo."""
    ping = '{"type":"ping","ref":[' + ",".join(["1"] * 500_000) + "]}"
    while True:
        with suppress(aiohttp.ClientError, ConnectionError):
            async with client.ws_connect(f"{url}/subscribe") as socket:
                for _ in range(10):
                    await socket.send_str(ping)
                    await socket.receive(timeout=20)


ATTACKS: dict[str, Callable[[str, aiohttp.ClientSession], Coroutine[Any, Any, None]]] = {
    attack.__name__: attack for attack in (small_frames, bombs, containers, long_refs)
}


async def main(name: str, url: str) -> None:
    async with aiohttp.ClientSession() as client:
        print("attacking", flush=True)
        await ATTACKS[name](url, client)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

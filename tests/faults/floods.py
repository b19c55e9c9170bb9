"""Still more clients that attack: WebSockets that send without a pause."""

from __future__ import annotations

import asyncio
import json

import aiohttp

from tests.faults.crowds import FILLED, Attack, _ask, _endlessly, _port
from tests.support.sockets import client_frame, publish_path


async def _frames(url: str, path: str, frames: bytes, connections: int) -> None:
    """Send these frames again and again, and read whatever comes."""

    async def again() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", _port(url))
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        writer.write(f"{head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())

        async def read() -> None:
            while await reader.read(65536):
                pass  # read, so that the gateway is not slowed down by a full socket

        reading = asyncio.create_task(read())
        try:
            while not reading.done():
                writer.write(frames)
                await writer.drain()
                await asyncio.sleep(0)
        finally:
            reading.cancel()
            writer.transport.abort()

    await _endlessly(connections, again)


def _frame(message: object) -> bytes:
    return client_frame(json.dumps(message).encode())


async def resubscriptions(url: str, _client: aiohttp.ClientSession) -> None:
    """Subscribe and unsubscribe without a pause, on many sockets."""
    pairs = (
        _frame({"type": "subscribe", "ref": f"r{number}", "sessionId": FILLED, "afterSeq": 0})
        + _frame({"type": "unsubscribe", "ref": f"r{number}"})
        for number in range(500)
    )
    await _frames(url, "/subscribe", b"".join(pairs), 64)


async def signal_floods(url: str, client: aiohttp.ClientSession) -> None:
    """Send signals of many keys without a pause to a hundred who watch."""
    await _ask(client, "POST", f"{url}/sessions", {"sessionId": "signalled", "language": "en"})

    async def watch() -> None:
        async with client.ws_connect(f"{url}/subscribe", max_msg_size=0) as socket:
            await socket.send_json({"type": "subscribe", "ref": "r", "sessionId": "signalled"})
            async for _ in socket:
                pass  # watch, as a dashboard does

    signals = b"".join(
        _frame({"type": "signal", "key": f"k{number}", "payload": {"text": "x" * 100}}) for number in range(100)
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(_endlessly(100, watch))
        group.create_task(_frames(url, publish_path("signalled"), signals, 1))


async def cut_off(url: str, _client: aiohttp.ClientSession) -> None:
    """Send bad messages without a pause, on many sockets, also after they were cut off."""
    await _frames(url, "/subscribe", client_frame(b"x") * 5000, 64)


FLOODS: dict[str, Attack] = {attack.__name__: attack for attack in (resubscriptions, signal_floods, cut_off)}

"""More clients that attack, by the number of their connections or requests rather than by the cost of a single one."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import aiohttp

from tests.support.gateways import new_event
from tests.support.sockets import client_frame

Attack = Callable[[str, aiohttp.ClientSession], Coroutine[Any, Any, None]]

FILLED = "filled"
"""A session of FILLED_EVENTS events."""
FILLED_EVENTS = 20_000
METADATA = {"items": [{"a": [number]} for number in range(4000)]}


async def _endlessly(count: int, again: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        while True:
            with suppress(aiohttp.ClientError, ConnectionError, asyncio.IncompleteReadError, TimeoutError):
                await again()
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(run())


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


async def _ask(client: aiohttp.ClientSession, method: str, url: str, body: object = None) -> int:
    async with client.request(method, url, json=body) as answer:
        await answer.read()
        return answer.status


# --- connections -----------------------------------------------------------------------------------------------------


async def idle_sockets(url: str, _client: aiohttp.ClientSession) -> None:
    """Open WebSockets up to what the process may open, and say nothing."""
    head = "GET /subscribe HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    kept = []
    for _ in range(10_000):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", _port(url))
        except OSError:
            break
        writer.write(head.encode())
        await reader.readuntil(b"\r\n\r\n")
        kept.append((reader, writer))
    await asyncio.Event().wait()


async def _slowly(url: str, head: bytes, count: int) -> None:
    """Send these bytes of a request, and then one more each second, on many connections."""

    async def again() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", _port(url))
        writer.write(head)
        while not writer.is_closing():
            writer.write(b"a")
            await writer.drain()
            await asyncio.sleep(1)

    await _endlessly(count, again)


async def slow_heads(url: str, _client: aiohttp.ClientSession) -> None:
    await _slowly(url, b"GET /subscribe HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nX: ", 1000)


async def slow_bodies(url: str, _client: aiohttp.ClientSession) -> None:
    head = b"POST /sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Content-Length: 900000\r\n\r\n"
    await _slowly(url, head + b'{"language":"en","metadata":{"a":"' + b"x" * 50_000, 1000)


async def compressed_frames(url: str, _client: aiohttp.ClientSession) -> None:
    """Send frames that claim to be compressed, which was never agreed."""
    head = "GET /subscribe HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    head += "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    frame = bytearray(client_frame(b"x" * 100_000))
    frame[0] |= 0x40

    async def again() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", _port(url))
        writer.write(head.encode() + bytes(frame) * 5)
        await reader.read(10_000)
        writer.transport.abort()

    await _endlessly(20, again)


# --- requests --------------------------------------------------------------------------------------------------------


async def _pipelined(url: str, requests: bytes, connections: int) -> None:
    async def again() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", _port(url))

        async def read() -> None:
            while await reader.read(65536):
                pass

        reading = asyncio.create_task(read())
        try:
            while True:
                writer.write(requests)
                await writer.drain()
        finally:
            reading.cancel()
            writer.transport.abort()

    await _endlessly(connections, again)


async def pipelined(url: str, _client: aiohttp.ClientSession) -> None:
    """Send small requests without waiting for answers."""
    await _pipelined(url, b"GET /sessions/none HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5000, 4)


async def large_heads(url: str, _client: aiohttp.ClientSession) -> None:
    """Send requests with very many headers."""
    headers = "".join(f"X-{number}: {number}\r\n" for number in range(5000))
    await _pipelined(url, f"GET /sessions/none HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode(), 8)


async def small_sessions(url: str, client: aiohttp.ClientSession) -> None:
    """Create sessions as fast as possible."""

    async def again() -> None:
        await _ask(client, "POST", f"{url}/sessions", {"language": "en"})

    await _endlessly(64, again)


async def amendments(url: str, client: aiohttp.ClientSession) -> None:
    """Replace large metadata again and again."""
    numbers = itertools.count()
    for number in range(4):
        await _ask(client, "POST", f"{url}/sessions", {"sessionId": f"amended-{number}", "language": "en"})

    async def again() -> None:
        number = next(numbers)
        body = {"metadata": {**METADATA, "number": number}}
        await _ask(client, "PATCH", f"{url}/sessions/amended-{number % 4}", body)

    await _endlessly(4, again)


async def erasures(url: str, client: aiohttp.ClientSession) -> None:
    """Fill sessions with events, and erase them."""
    events = [new_event(f"e{number}", {"text": "x" * 100}) for number in range(1000)]
    numbers = itertools.count()

    async def again() -> None:
        path = f"{url}/sessions/erased-{next(numbers)}"
        await _ask(client, "POST", f"{url}/sessions", {"sessionId": path.rpartition("/")[2], "language": "en"})
        for first in range(0, len(events), 100):
            await _ask(client, "POST", f"{path}/events", {"events": events[first : first + 100]})
        await _ask(client, "DELETE", path)

    await _endlessly(4, again)


async def sums(url: str, client: aiohttp.ClientSession) -> None:
    await _endlessly(16, lambda: _get(client, f"{url}/stats?groupBy=language"))


async def searches(url: str, client: aiohttp.ClientSession) -> None:
    """Search for what is in few sessions, or in none, with counts."""
    await _endlessly(16, lambda: _get(client, f"{url}/sessions?q=zzz&minInterruptions=3&countUpTo=10000"))


async def histories(url: str, client: aiohttp.ClientSession) -> None:
    """Read the figures and the last pages of a long session."""
    paths = itertools.cycle([f"/sessions/{FILLED}/stats", f"/sessions/{FILLED}?page=100&limit=100"])
    await _endlessly(16, lambda: _get(client, url + next(paths)))


async def _get(client: aiohttp.ClientSession, url: str) -> None:
    await _ask(client, "GET", url)


# --- readers ---------------------------------------------------------------------------------------------------------


async def replays(url: str, client: aiohttp.ClientSession) -> None:
    """Follow a long session from its beginning, leave, and begin again."""
    command = json.dumps({"type": "subscribe", "ref": "r", "sessionId": FILLED, "afterSeq": 0})

    async def again() -> None:
        async with client.ws_connect(f"{url}/subscribe", max_msg_size=0) as socket:
            await socket.send_str(command)
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    while True:
                        await socket.receive()

    await _endlessly(32, again)


async def _byte_by_byte(url: str, accept: str) -> None:
    head = f"GET /sessions/{FILLED}/events HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n"

    async def again() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", _port(url), limit=1)
        writer.write(head.encode())
        while await reader.read(1):
            await asyncio.sleep(1)
        writer.close()

    await _endlessly(200, again)


async def slow_exports(url: str, _client: aiohttp.ClientSession) -> None:
    await _byte_by_byte(url, "application/x-ndjson")


async def slow_streams(url: str, _client: aiohttp.ClientSession) -> None:
    await _byte_by_byte(url, "text/event-stream")


# --- what others are told --------------------------------------------------------------------------------------------


async def deaf_receivers(url: str, client: aiohttp.ClientSession) -> None:
    """Have webhooks that never answer told of many sessions."""

    async def deaf(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for number in range(8):
        body = {"url": f"http://127.0.0.1:{port}/{number}", "events": ["session.created"]}
        assert await _ask(client, "POST", f"{url}/webhooks", body) != 400  # in a third round, there are too many
    await small_sessions(url, client)


# --- what is made before ---------------------------------------------------------------------------------------------


async def fill(url: str, client: aiohttp.ClientSession) -> None:
    await _ask(client, "POST", f"{url}/sessions", {"sessionId": FILLED, "language": "en"})
    for first in range(0, FILLED_EVENTS, 500):
        events = [new_event(f"e{first + number}", {"text": "x" * 100}) for number in range(500)]
        assert await _ask(client, "POST", f"{url}/sessions/{FILLED}/events", {"events": events}) == 201


CROWDS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        *(idle_sockets, slow_heads, slow_bodies, compressed_frames, pipelined, large_heads, small_sessions, amendments),
        *(erasures, sums, searches, histories, replays, slow_exports, slow_streams, deaf_receivers),
    )
}

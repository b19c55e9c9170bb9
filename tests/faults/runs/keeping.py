"""Runs in which a gateway is killed while it archives sessions."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from random import Random

import aiohttp

from tests.support.faults.rig import eventually, gateway_on, kill
from tests.support.load.fleet import report
from tests.support.processes import GatewayProcess

_EVENTS = 120
_LONGEST_SECONDS = 90.0


async def archive_kills(directory: Path, seed: int, *, kills: int, calls: int = 12) -> None:
    """kill -9 of the gateway at any moment while it archives. After each kill, every call can be read."""
    random = Random(seed)
    folder = directory / "archive"
    async with gateway_on(directory / "data", None) as plain:
        await _bring(plain, b"".join(_line(number) for number in range(calls)))
        await asyncio.to_thread(plain.terminate)
    settings = {
        "TURNWIRE_ARCHIVE_URL": folder.as_uri(),
        "TURNWIRE_RETENTION_DAYS": "30",
        "TURNWIRE_RETENTION_INTERVAL": "1",
    }
    gateway = gateway_on(directory / "data", None, env=settings)
    objects: list[int] = []
    async with gateway:
        for _ in range(kills):
            count = _objects(folder)
            await eventually(partial(_has_more, folder, count), "a new object", _LONGEST_SECONDS)
            await asyncio.sleep(random.uniform(0, 0.1))
            await kill(gateway)
            objects.append(_objects(folder))
            await asyncio.to_thread(gateway.start)
            await _read_all(gateway, calls)
        async with asyncio.timeout(_LONGEST_SECONDS):
            while await _left(gateway):
                await asyncio.sleep(0.1)
        await _read_all(gateway, calls)
    report("archive-kills", seed, kills=kills, objects_at_kills=objects, objects=_objects(folder))
    assert _objects(folder) == calls


def _line(number: int) -> bytes:
    """Return a past call in the form of an import."""
    events = [
        {
            "eventId": f"e{at}",
            "type": "user_speech",
            "payload": {"text": text},
            "timestamp": f"2023-05-01T10:{at // 60:02}:{at % 60:02}.000Z",
        }
        for at, text in enumerate(_texts(number))
    ]
    times = {"startedAt": "2023-05-01T10:00:00Z", "endedAt": "2023-05-01T10:05:00Z", "status": "completed"}
    return json.dumps({"sessionId": f"call-{number}", "language": "en", **times, "events": events}).encode() + b"\n"


def _texts(number: int) -> list[str]:
    return [f"sentence {number}.{at}" for at in range(_EVENTS)]


def _objects(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*.zst"))


def _has_more(folder: Path, count: int) -> bool:
    return _objects(folder) > count


async def _bring(gateway: GatewayProcess, body: bytes) -> None:
    headers = {"Content-Type": "application/x-ndjson"}
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{gateway.url}/import", data=body, headers=headers) as response,
    ):
        text = await response.text()
        assert text.count('"imported"') == body.count(b"\n"), text


async def _read_all(gateway: GatewayProcess, calls: int) -> None:
    """Read every call, which must be whole, in order and as it was."""
    headers = {"Accept": "application/x-ndjson"}
    async with aiohttp.ClientSession(headers=headers) as client:
        for number in range(calls):
            async with client.get(f"{gateway.url}/sessions/call-{number}/events") as response:
                assert response.status == 200, await response.text()
                lines = (await response.text()).splitlines()
            assert [json.loads(line)["payload"]["text"] for line in lines] == _texts(number)


async def _left(gateway: GatewayProcess) -> int:
    """Return the number of calls that are not archived yet."""
    async with aiohttp.ClientSession() as client, client.get(f"{gateway.url}/sessions?limit=100") as response:
        sessions = (await response.json())["sessions"]
    return sum(not session.get("archived") for session in sessions)

"""Calls that retention has archived, in gateways that serve: every route and socket shows them as before."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from typer.testing import CliRunner

from tests.gateway.rest.test_imports import bring, ndjson, past_call
from tests.support.gateways import Gateway, Json, StartGateway, new_event, new_id
from tests.support.processes import running_python
from tests.support.redis import free_port
from tests.support.sockets import subscriber
from turnwire.cli import app
from turnwire.commands.verify_archive import find_faults
from turnwire.gateway.config import ConfigError
from turnwire.gateway.keeping.archive_check import archive_check

CALL = past_call("old", *(f"Nummer {number}, bitte… 🥐" for number in range(1, 8)), metadata={"customerId": "c-1"})
PATHS = (
    "/sessions/old",
    "/sessions/old?page=2&limit=3",
    "/sessions/old?offset=1&limit=4&order=desc",
    "/sessions/old/events?afterSeq=2&limit=3",
    "/sessions/old/stats",
    "/sessions?metadata.customerId=c-1",
)
STREAMED = ({"Accept": "application/x-ndjson"}, {"Accept": "text/event-stream"})


async def read(gateway: Gateway, path: str) -> Json:
    """The answer, without the one field that an archived session has more."""
    answer = await gateway.get(path)
    for session in answer.get("sessions", [answer]):
        session.pop("archived", None)
    return answer


async def streamed(gateway: Gateway, headers: dict[str, str]) -> list[bytes]:
    """The events of a stream, which may be one without an end."""
    lines: list[bytes] = []
    async with gateway.request("GET", "/sessions/old/events?afterSeq=1", headers=headers) as response:
        assert response.status == 200
        async for line in response.content:
            if b"eventId" in line:
                lines.append(line)
            if len(lines) == 6:
                break
    return lines


async def sent_again(gateway: Gateway) -> Json:
    """The answer to an event that is stored."""
    event = new_event("e3", CALL["events"][2]["payload"])
    async with gateway.request("POST", "/sessions/old/events", json=event) as response:
        assert response.headers["Idempotent-Replayed"] == "true"
        return response.status, await response.json()


async def everything(gateway: Gateway) -> list[Json]:
    """All that a gateway shows of the call."""
    board = await subscriber(gateway)
    await board.subscribe("old", 0)
    replayed = await board.events(7)
    await board.close()
    return [
        *[await read(gateway, path) for path in PATHS],
        *[await streamed(gateway, headers) for headers in STREAMED],
        replayed,
        await sent_again(gateway),
    ]


async def backed_up(gateway: Gateway) -> list[str]:
    """The ids of the events that a backup has."""
    async with gateway.request("GET", "/backup") as response:
        line, end = [json.loads(each) for each in (await response.text()).splitlines()]
    assert (line["sessionId"], end) == ("old", {"end": {"sessions": 1}})
    return [each["eventId"] for each in line["events"]]


async def until_archived(gateway: Gateway, session_id: str = "old") -> None:
    async with asyncio.timeout(20):
        while not (await gateway.get(f"/sessions/{session_id}?limit=1")).get("archived"):
            await asyncio.sleep(0.05)
        events = gateway.store._db["events"]
        while await events.count_documents({"sessionId": session_id}):
            await asyncio.sleep(0.05)


async def check_whole_life(start_gateway: StartGateway, url: str) -> None:
    """A call that is imported, archived, read and written to, and erased."""
    database = new_id("archived")
    here = await start_gateway(mongodb_database=database)
    await bring(here, ndjson(CALL))
    before = await everything(here)
    await here.stop()
    there = await start_gateway(mongodb_database=database, retention_days=30, retention_interval=1, archive_url=url)
    await until_archived(there)
    assert await everything(there) == before
    assert await backed_up(there) == [each["eventId"] for each in CALL["events"]]
    late = {"json": {"events": [new_event("e99")]}}
    assert (await there.refused("POST", "/sessions/old/events", 409, **late))["code"] == "session_ended"
    assert [each["result"] for each in await bring(there, ndjson(CALL), "?verify=true")] == ["unchanged"]
    assert await find_faults(there.url, archive_check(there.gateway.config)) == (1, [])
    async with there.request("DELETE", "/sessions/old") as response:
        assert response.status == 204
    await there.refused("GET", "/sessions/old", 404)
    objects = there.store.archive.objects
    assert objects is not None
    assert await objects.keys("sessions") == []
    await there.stop()


async def test_an_archived_call_is_read_written_to_and_erased_as_before(
    start_gateway: StartGateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "turnwire.audit")
    await check_whole_life(start_gateway, (tmp_path / "archive").as_uri())
    assert await asyncio.to_thread(lambda: [each for each in tmp_path.rglob("*") if "old" in each.name]) == []
    rows = [json.loads(row.message) for row in caplog.records if row.name == "turnwire.audit"]
    done = [(row["audit"], row["who"]) for row in rows if row["audit"].startswith("session_")]
    assert done == [("session_archived", "retention"), ("session_erased", "anonymous")]


@pytest.fixture
def object_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a server of S3's protocol, as the environment tells the gateway.

    The one that Google Cloud Storage is asked by is S3's, apart from credentials: by this token the server takes it so.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "anybody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_REGION": "us-east-1",
        "GOOGLE_BASE_URL": url,
        "GOOGLE_BEARER_TOKEN": "anybody/20250101/us-east-1/s3/aws4_request",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with running_python("-m", "moto.server", "-H", "127.0.0.1", "-p", str(port), stderr=subprocess.DEVNULL):
        yield port


async def make_bucket(port: int, name: str) -> None:
    async with aiohttp.ClientSession() as client, asyncio.timeout(30):
        while True:
            try:
                async with client.put(f"http://127.0.0.1:{port}/{name}") as response:
                    assert response.status == 200
                    return
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.1)


@pytest.mark.e2e
async def test_an_archive_on_an_object_store_is_as_good(start_gateway: StartGateway, object_server: int) -> None:
    for scheme in ("s3", "gs"):
        await make_bucket(object_server, f"calls{scheme}")
        await check_whole_life(start_gateway, f"{scheme}://calls{scheme}/of/ours")


async def test_while_the_archive_is_away_calls_stay_and_audit_and_metrics_say_so(
    start_gateway: StartGateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "turnwire.audit")
    folder = tmp_path / "archive"
    gateway = await start_gateway(retention_days=30, retention_interval=1, archive_url=folder.as_uri())
    folder.rmdir()
    folder.write_text("a file in its place")
    await bring(gateway, ndjson(CALL))
    async with asyncio.timeout(20):
        while not any('"archive_failed"' in row.message for row in caplog.records):
            await asyncio.sleep(0.05)
    assert "archived" not in await gateway.get("/sessions/old")
    assert len((await gateway.get("/sessions/old/events"))["events"]) == 7
    async with gateway.request("GET", "/metrics") as response:
        assert "turnwire_archive_failures_total 0" not in await response.text()
    folder.unlink()
    await until_archived(gateway)


async def test_a_damaged_archive_is_found_and_never_shown(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = await start_gateway(
        retention_days=30, retention_interval=1, archive_url=tmp_path.as_uri(), archive_cache_bytes=0
    )
    await bring(gateway, ndjson(CALL))
    await until_archived(gateway)
    (line,) = await asyncio.to_thread(lambda: list(tmp_path.rglob("*.zst")))
    data = line.read_bytes()
    line.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
    count, faults = await find_faults(gateway.url, archive_check(gateway.gateway.config))
    assert (count, len(faults)) == (1, 1)
    assert "old: " in faults[0]
    assert "digest" in faults[0]
    told = await asyncio.to_thread(
        CliRunner().invoke,
        app,
        ["verify", "--archived", "--url", gateway.url],
        env={"TURNWIRE_ARCHIVE_URL": tmp_path.as_uri(), "COLUMNS": "1000"},
    )
    assert (told.exit_code, "1 archived session: 1 fault" in told.stdout) == (1, True)
    (manifest,) = await asyncio.to_thread(lambda: list(tmp_path.rglob("*.json")))
    place = json.loads(manifest.read_bytes())["frames"][1]["offset"] + 20
    line.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    envelope = await gateway.refused("GET", "/sessions/old/events", 503)
    assert envelope["message"] == "the archive of session 'old' is damaged"
    file = tmp_path / "backup"
    told = await asyncio.to_thread(CliRunner().invoke, app, ["backup", str(file), "--url", gateway.url])
    assert (told.exit_code, "0 sessions with 0 events" in told.stdout) == (1, True)
    assert "not in it: 1 archived session whose archive is damaged" in told.stderr
    told = await asyncio.to_thread(CliRunner().invoke, app, ["restore", str(file), "--url", gateway.url])
    assert told.exit_code == 1
    assert "refused: it was not readable when the backup was made: the archive of session 'old'" in told.stdout


@pytest.mark.parametrize("url", ["ftp://host/calls", "file://calls"])
async def test_a_gateway_does_not_start_with_an_archive_that_cannot_be_used(
    start_gateway: StartGateway, url: str
) -> None:
    with pytest.raises(ConfigError, match="TURNWIRE_ARCHIVE_URL: "):
        await start_gateway(archive_url=url)


async def test_checking_the_archive_needs_its_url(start_gateway: StartGateway) -> None:
    gateway = await start_gateway()
    with pytest.raises(ConfigError, match="TURNWIRE_ARCHIVE_URL is not set"):
        archive_check(gateway.gateway.config)

"""`turnwire backup` and `turnwire restore` against gateways."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.gateway.access.wired import allowed, start_guarded
from tests.support.gateways import Gateway, StartGateway, new_id
from turnwire import Publisher
from turnwire.cli import app
from turnwire.commands.moving import backing_up
from turnwire.gateway.keeping.backup_lines import BackupLines


async def turnwire(gateway: Gateway, *args: str) -> Result:
    env = {"TURNWIRE_URL": gateway.url, "TURNWIRE_TOKEN": ""}
    return await asyncio.to_thread(CliRunner().invoke, app, [*args], env=env)


def lines_in(path: Path) -> list[Any]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


async def test_a_call_that_is_live_during_a_backup_continues_after_a_restore(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    here, there = await start_gateway(), await start_gateway(mongodb_database=new_id("other"))
    await here.create("done", metadata={"n": [1.0, 2**53 + 1]})
    await here.fill("done", 200)
    await here.post("/sessions/done/complete", {"status": "failed", "reason": "hangup"})
    file = tmp_path / "backup.ndjson.gz"
    async with Publisher(here.url, "on", language="en") as call:
        for number in range(20):
            await call.send("user_speech", {"n": number}, event_id=f"e{number}")
        await call.flush()
        result = await turnwire(here, "backup", str(file))
        assert result.exit_code == 0, result.output
        assert "2 sessions with 220 events" in result.output
        await call.send("user_speech", {"n": 20}, event_id="e20")
        await call.flush()
    assert [line.get("sessionId") for line in lines_in(file)] == [None, "on", "done", None]

    result = await turnwire(there, "restore", str(file))
    assert result.exit_code == 0, result.output
    assert "2 restored, 0 stored already, 0 continued since, 0 different, 0 refused" in result.output
    assert "compared: 2 calls with 220 events are stored as in the backup" in result.output
    for path in ("/sessions/done", "/sessions/done/events?limit=100&afterSeq=100"):
        assert await here.get(path) == await there.get(path)
    stored = (await here.get("/sessions/on/events"))["events"][:20]
    assert (await there.get("/sessions/on/events"))["events"] == stored
    async with Publisher(there.url, "on", language="en") as call:
        for number in range(22):
            await call.send("user_speech", {"n": number}, event_id=f"e{number}")
        await call.flush()
    log = (await there.get("/sessions/on/events"))["events"]
    assert [(each["seq"], each["eventId"]) for each in log] == [(n + 1, f"e{n}") for n in range(22)]
    assert log[:20] == stored
    again = await turnwire(there, "restore", str(file))
    assert again.exit_code == 0, again.output
    assert "0 restored, 1 stored already, 1 continued since" in again.output


async def test_a_backup_that_is_cut_off_continues_by_itself(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        await gateway.create(f"s{number}")
    read, reads = BackupLines.read, 0

    async def cut(self: BackupLines, before: Any) -> Any:
        nonlocal reads
        reads += 1
        count = 0
        async for piece in read(self, before):
            yield piece
            count += 1
            if reads < 3 and count == 2:
                raise ConnectionResetError

    monkeypatch.setattr(BackupLines, "read", cut)
    monkeypatch.setattr("turnwire.gateway.rest.backup._LARGE", 1)
    file = tmp_path / "backup"
    result = await turnwire(gateway, "backup", str(file))
    assert result.exit_code == 0, result.output
    assert sorted(line["sessionId"] for line in lines_in(file)[1:-1]) == ["s0", "s1", "s2", "s3"]
    assert reads == 3


async def test_a_backup_that_was_stopped_is_completed_with_resume(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await gateway.create("s")
    file = tmp_path / "backup"
    monkeypatch.setattr(backing_up._Reading, "_read", stopped)
    assert (await turnwire(gateway, "backup", str(file))).exit_code == 130
    assert not file.exists()
    monkeypatch.undo()
    assert (await turnwire(gateway, "backup", str(file), "--resume")).exit_code == 0
    assert lines_in(file)[1]["sessionId"] == "s"
    result = await turnwire(gateway, "backup", str(file), "--resume")
    assert (result.exit_code, "No such file" in result.output) == (1, True)


async def stopped(_self: Any) -> None:
    raise KeyboardInterrupt


async def test_sessions_that_differ_from_the_backup_are_reported_by_line(gateway: Gateway, tmp_path: Path) -> None:
    await gateway.create("a")
    await gateway.create("b")
    file = tmp_path / "backup"
    await turnwire(gateway, "backup", str(file))
    await gateway.ask("PATCH", "/sessions/b", json={"metadata": {"n": 1}})
    result = await turnwire(gateway, "restore", str(file))
    assert result.exit_code == 1
    assert "0 restored, 1 stored already, 0 continued since, 1 different, 0 refused" in result.output
    assert "session b: different: its metadata is not that of the line" in result.output


async def test_only_an_admin_reads_a_backup(start_gateway: StartGateway, tmp_path: Path) -> None:
    guarded = await start_guarded(start_gateway, tmp_path)
    every_other = "session:list session:read session:publish session:delete metrics"
    await guarded.refused("GET", "/backup", 403, headers=allowed(every_other))
    async with guarded.request("GET", "/backup") as response:
        assert response.status == 200
        assert json.loads(await response.text()) == {"end": {"sessions": 0}}

"""`turnwire import` and `turnwire export` against a gateway."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from bson import Int64, ObjectId
from pymongo import AsyncMongoClient
from typer.testing import CliRunner, Result
from yarl import URL

from tests.support.gateways import Gateway, Json, StartGateway, new_event, new_id
from tests.support.processes import ROOT
from turnwire.cli import app
from turnwire.commands.moving import import_progress, sending
from turnwire.commands.moving.old_database import EVENTS, SESSIONS, OldDatabase
from turnwire.errors import Unreachable

AT = datetime(2024, 5, 1, 10, 0, 0, 123000, UTC)


async def turnwire(gateway: Gateway, *args: str, stdin: bytes | None = None) -> Result:
    env = {"TURNWIRE_URL": gateway.url, "TURNWIRE_TOKEN": ""}
    return await asyncio.to_thread(CliRunner().invoke, app, [*args], env=env, input=stdin)


def past_call(session_id: str, count: int = 2, **fields: Json) -> Json:
    return {
        "sessionId": session_id,
        "language": "en",
        "startedAt": "2024-05-01T10:00:00Z",
        "endedAt": "2024-05-01T10:01:00Z",
        "events": [{**new_event(f"e{n}", {"n": n}), "timestamp": "2024-05-01T10:00:01Z"} for n in range(count)],
        **fields,
    }


def ndjson(*calls: Json) -> bytes:
    return b"".join(json.dumps(call).encode() + b"\n" for call in calls)


async def test_an_exported_session_is_imported_elsewhere_as_it_was(start_gateway: StartGateway, tmp_path: Path) -> None:
    here, there = await start_gateway(), await start_gateway(mongodb_database=new_id("other"))
    for name in ("a", "b"):
        await here.create(name, metadata={"n": [1.0, 2**53 + 1]})
        await here.fill(name, 3)
        await here.post(f"/sessions/{name}/complete", {"status": "failed", "reason": "hangup"})
    file = tmp_path / "calls.ndjson"
    assert (await turnwire(here, "export", str(file))).exit_code == 0
    file.write_bytes(gzip.compress(file.read_bytes()))
    result = await turnwire(there, "import", str(file))
    assert result.exit_code == 0, result.output
    assert "2 imported, 0 unchanged, 0 different, 0 refused" in result.output
    assert "compared: 2 calls with 6 events are stored as given" in result.output
    for path in ("/sessions/a", "/sessions/b/events"):
        assert await here.get(path) == await there.get(path)
    only = await turnwire(there, "export", "--session", "b")
    assert [json.loads(line)["sessionId"] for line in only.stdout.splitlines()] == ["b"]


async def test_an_export_that_fails_leaves_the_file_as_it_was(gateway: Gateway, tmp_path: Path) -> None:
    await gateway.create("a")
    file = tmp_path / "calls.ndjson"
    file.write_text("before")
    result = await turnwire(gateway, "export", str(file), "--session", "a", "--session", "missing")
    assert result.exit_code == 1
    assert "missing" in result.output
    assert (os.listdir(tmp_path), file.read_text()) == (["calls.ndjson"], "before")


async def test_different_and_refused_calls_are_listed_by_line(gateway: Gateway) -> None:
    await gateway.create("b")
    calls = ndjson(past_call("a"), past_call("b"), past_call("c", endedAt="2023-01-01T00:00:00Z"), past_call("d"))
    result = await turnwire(gateway, "import", "-", stdin=calls)
    assert result.exit_code == 1
    assert "2 imported, 0 unchanged, 1 different, 1 refused" in result.output
    assert "line 2, session b: different: its startedAt" in result.output
    assert "line 3, session c: refused: endedAt must not be before startedAt" in result.output
    again = await turnwire(gateway, "import", "-", stdin=ndjson(past_call("a"), past_call("d")))
    assert (again.exit_code, "0 imported, 2 unchanged" in again.output) == (0, True)


async def test_an_import_continues_where_the_gateway_stopped_to_answer(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer ends after the first line, twice; the rest is sent again, and no line twice."""
    sent: list[int] = []
    take = sending.Pass._take

    def take_some(self: Any, outcome: Any) -> None:
        take(self, outcome)
        sent.append(self._answered)
        if len(sent) in (1, 3):
            raise Unreachable("cut off")

    monkeypatch.setattr(sending.Pass, "_take", take_some)
    file = tmp_path / "calls.ndjson"
    file.write_bytes(b"\n" + ndjson(*(past_call(f"s{n}") for n in range(5))))
    result = await turnwire(gateway, "import", str(file))
    assert result.exit_code == 0, result.output
    assert sent == [*range(2, 7), *range(2, 7)]


# --- the database of a NestJS service --------------------------------------------------------------------------------


@pytest.fixture
async def old_database(database_uri: str) -> AsyncIterator[tuple[str, Any]]:
    """The URI of a database that names it, and the database."""
    name = new_id("conversation-service")
    uri = URL(database_uri.replace("mongodb://", "http://")).with_path(f"/{name}").update_query(authSource="admin")
    text = str(uri).replace("http://", "mongodb://")
    async with AsyncMongoClient[dict[str, Any]](text) as client:
        yield text, client[name]
        await client.drop_database(name)


def old_session(session_id: str, **fields: Any) -> dict[str, Any]:
    ended = {"status": "completed", "endedAt": AT.replace(minute=1)}
    return {"sessionId": session_id, "language": "en", "startedAt": AT, "__v": 0, **ended, **fields}


def old_event(session_id: str, event_id: str, second: int, **fields: Any) -> dict[str, Any]:
    at = AT.replace(second=second)
    return {"sessionId": session_id, "eventId": event_id, "type": "user_speech", "timestamp": at, "__v": 0, **fields}


async def test_calls_of_a_nestjs_service_come_in_from_its_database(
    gateway: Gateway, old_database: tuple[str, Any]
) -> None:
    uri, database = old_database
    await database[SESSIONS].insert_many(
        [
            old_session("done", metadata={"big": Int64(2**40), "ref": ObjectId("65f000000000000000000001")}),
            old_session("open", status="active", endedAt=None),
            old_session("begun", status="initiated", endedAt=None),
        ]
    )
    ids = [ObjectId(f"65f00000000000000000000{n}") for n in range(4)]
    await database[EVENTS].insert_many(
        [
            old_event("done", "late", 9, _id=ids[0], payload={"text": "Bye."}),
            old_event("done", "second", 3, _id=ids[3], payload={"text": "I'd like…"}),
            old_event("done", "first", 3, _id=ids[1]),
            old_event("open", "only", 5, payload={"text": "Hello?"}),
            old_event("nobody", "lost", 5, payload={}),
        ]
    )
    result = await turnwire(gateway, "import", uri)
    assert result.exit_code == 0, result.output
    assert "3 imported, 0 unchanged, 0 different, 0 refused" in result.output
    assert "skipped, because there is no such session: 1 event of 'nobody'" in result.output
    done = await gateway.get("/sessions/done")
    assert (done["status"], done["startedAt"], done["endedAt"]) == (
        "completed",
        "2024-05-01T10:00:00.123Z",
        "2024-05-01T10:01:00.123Z",
    )
    assert done["metadata"] == {"big": 2**40, "ref": "65f000000000000000000001"}
    log = (await gateway.get("/sessions/done/events"))["events"]
    assert [(each["eventId"], each["payload"]) for each in log] == [
        ("first", {}),
        ("second", {"text": "I'd like…"}),
        ("late", {"text": "Bye."}),
    ]
    unended = await gateway.get("/sessions/open")
    assert (unended["status"], unended["endReason"], unended["endedAt"]) == (
        "failed",
        "imported",
        "2024-05-01T10:00:05.123Z",
    )
    await gateway.refused("GET", "/sessions/nobody", 404)
    assert (await turnwire(gateway, "import", uri)).exit_code == 0


async def test_calls_that_continue_are_kept_open_and_completed_later(
    gateway: Gateway, old_database: tuple[str, Any]
) -> None:
    uri, database = old_database
    await database[SESSIONS].insert_one(old_session("s", status="active", endedAt=None))
    await database[EVENTS].insert_one(old_event("s", "e1", 1, payload={}))
    assert (await turnwire(gateway, "import", uri, "--keep-open")).exit_code == 0
    assert (await gateway.get("/sessions/s"))["status"] == "active"
    await database[EVENTS].insert_one(old_event("s", "e2", 2, payload={}))
    await database[SESSIONS].update_one({"sessionId": "s"}, {"$set": {"status": "completed", "endedAt": AT}})
    assert (await turnwire(gateway, "import", uri, "--keep-open")).exit_code == 0
    session = await gateway.get("/sessions/s")
    assert (session["status"], session["lastSeq"]) == ("completed", 2)


async def test_the_commands_of_the_migration_page_move_all_calls(
    gateway: Gateway, old_database: tuple[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    uri, database = old_database
    await database[SESSIONS].insert_many(
        [old_session(f"call-{n}", status="active" if n % 2 else "completed", endedAt=None) for n in range(4)]
    )
    await database[EVENTS].insert_many([old_event(f"call-{n}", "e1", n, payload={}) for n in range(4)])
    page = (ROOT / "docs" / "migration.md").read_text("utf-8")
    commands = re.findall(r"^ +turnwire (.+)$", page, re.MULTILINE)
    assert [each.split()[0] for each in commands] == ["import", "import", "export", "import"]
    for command in commands:
        words = [uri if word.startswith("mongodb://") else word for word in command.split()]
        result = await turnwire(gateway, *words)
        assert result.exit_code == 0, result.output
    sessions = (await gateway.get("/sessions?order=asc"))["sessions"]
    assert [(each["sessionId"], each["status"]) for each in sessions] == [
        ("call-0", "completed"),
        ("call-1", "failed"),
        ("call-2", "completed"),
        ("call-3", "failed"),
    ]


async def test_a_database_must_be_named(gateway: Gateway) -> None:
    result = await turnwire(gateway, "import", "mongodb://127.0.0.1:1/")
    assert result.exit_code == 1
    assert "name the database, as in mongodb://host/conversation-service" in result.output


async def test_an_import_from_a_database_continues_where_it_was_killed_and_takes_what_has_come_since(
    gateway: Gateway, old_database: tuple[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_progress, "WRITE_SECONDS", 0)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    uri, database = old_database
    await database[SESSIONS].insert_many([old_session(f"c{n}", status="active", endedAt=None) for n in range(4)])
    await database[EVENTS].insert_many([old_event(f"c{n}", "e1", n, payload={}) for n in range(4)])
    reached = import_progress.ImportProgress.reached

    def kill(self: Any, told: Any) -> None:
        reached(self, told)
        if told.line == 2:
            raise RuntimeError("killed")

    monkeypatch.setattr(import_progress.ImportProgress, "reached", kill)
    assert (await turnwire(gateway, "import", uri, "--keep-open")).exit_code == 1
    monkeypatch.setattr(import_progress.ImportProgress, "reached", reached)
    await database[EVENTS].insert_one(old_event("c0", "e2", 5, payload={}))
    result = await turnwire(gateway, "import", uri, "--keep-open")
    assert result.exit_code == 0, result.output
    assert "continues after line 2" in result.output
    logs = [(await gateway.get(f"/sessions/c{n}/events"))["events"] for n in range(4)]
    assert [[each["eventId"] for each in log] for log in logs] == [["e1", "e2"], ["e1"], ["e1"], ["e1"]]


def test_an_old_database_whose_uri_names_a_missing_file_is_refused_with_the_reason(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(typer.Exit):
        OldDatabase(f"mongodb://127.0.0.1/name?tls=true&tlsCAFile={tmp_path}/missing")
    assert "cannot be used: The tlscafile file is not readable" in capsys.readouterr().err

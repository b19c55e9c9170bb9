"""What an older Turnwire has stored is opened, and what a newer one has stored is not."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient
from typer.testing import CliRunner

from tests.support.gateways import Gateway, new_event
from turnwire.cli import app
from turnwire.gateway.config import Config
from turnwire.gateway.running.serve import ServeError, start_database
from turnwire.gateway.running.upgrading import upgrade
from turnwire.store.embedded.server import EmbeddedDatabase
from turnwire.store.opening.format import FORMAT
from turnwire.version import __version__

pytestmark = pytest.mark.e2e

AT = datetime(2025, 1, 1, tzinfo=UTC)


async def store_as_0_1_0(folder: Path) -> None:
    """Leave the folder as that version did: without a mark and a user, and with documents that know no lives."""
    async with EmbeddedDatabase(folder) as database, AsyncMongoClient[dict[str, object]](database.uri) as client:
        stored = client["turnwire"]
        await stored["sessions"].insert_one(
            {
                **{"_id": "s", "status": "active", "language": "en", "startedAt": AT, "endedAt": None, "metadata": {}},
                **{"lastSeq": 1, "lastEventAt": AT, "heartbeat": 0, "endReason": None, "epoch": 0, "timeOrdered": True},
            }
        )
        await stored["sessions"].insert_one(
            {
                **{"_id": "big", "status": "completed", "language": "en", "startedAt": AT, "endedAt": AT},
                **{"metadata": {"text": "a" * 5000}, "lastSeq": 0, "lastEventAt": None, "heartbeat": 0},
                **{"endReason": None, "epoch": 0, "timeOrdered": True},
            }
        )
        event = {"sessionId": "s", "seq": 1, "eventId": "e1", "type": "user_speech", "payload": {}, "timestamp": AT}
        await stored["events"].insert_one({"_id": "s/0000000001", **event})
    for name in ("turnwire.json", "database.credentials"):
        (folder / name).unlink()


async def test_the_data_directory_of_0_1_0_is_upgraded_and_continues(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    await store_as_0_1_0(folder)
    directory, database = await upgrade(Config(data_dir=folder))
    assert directory.startswith(
        f"the data directory {folder}: format {FORMAT}, Turnwire {__version__}, database engine "
    )
    assert directory.endswith("before: no format, as of 0.1.0")
    assert database == (
        f"the database turnwire: format {FORMAT}, before: none, as of 0.1.0; "
        "sessions whose large metadata is now stored as JSON: 1"
    )
    assert json.loads((folder / "turnwire.json").read_text())["format"] == FORMAT
    async with EmbeddedDatabase(folder) as embedded:
        gateway = await Gateway.start(mongodb_uri=embedded.uri, expire_after=0)
        try:
            again = await gateway.post("/sessions/s/events", new_event("e1"), status=201)
            new = await gateway.post("/sessions/s/events", new_event("e2"), status=201)
            big = await gateway.get("/sessions/big")
            assert big["metadata"] == {"text": "a" * 5000}
            assert (again["seq"], again["timestamp"], new["seq"]) == (1, "2025-01-01T00:00:00.000Z", 2)
        finally:
            await gateway.stop()


async def test_the_data_directory_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "turnwire.json").write_text(f'{{"format":{FORMAT + 1},"turnwire":"7.1.0"}}')
    result = await asyncio.to_thread(CliRunner().invoke, app, ["upgrade", "--data-dir", str(tmp_path)])
    assert (result.exit_code, f"has format {FORMAT + 1}, of Turnwire 7.1.0" in result.output) == (1, True)
    with pytest.raises(ServeError, match=rf"has format {FORMAT + 1}, of Turnwire 7\.1\.0"):
        await start_database(Config(data_dir=tmp_path))
    assert not os.listdir(tmp_path / "db")


async def test_upgrade_refuses_a_missing_directory_and_an_unreachable_database(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match="there is no data directory"):
        await upgrade(Config(data_dir=tmp_path / "data"))
    with pytest.raises(ServeError, match="the database cannot be used"):
        await upgrade(Config(mongodb_uri="mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100&timeoutMS=200"))

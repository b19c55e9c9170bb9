"""`turnwire import` that is killed, and run again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.support.failpoints import failing
from tests.support.gateways import Gateway, Json, new_event
from tests.support.processes import running_python
from turnwire.cli import app
from turnwire.commands.moving import import_progress, sending

COUNT = 6
AT_ONCE = """
from turnwire.__main__ import main
from turnwire.commands.moving import import_progress

import_progress.WRITE_SECONDS = 0
main()
"""
"""`turnwire`, which notes every line."""


class Killed(Exception):
    """Ends the command where it is."""


@pytest.fixture(autouse=True)
def state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(import_progress, "WRITE_SECONDS", 0)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "turnwire"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lines that are sent to be stored, not those that are compared."""
    lines: list[int] = []
    take = sending.Pass._take

    def note(self: Any, outcome: Any) -> None:
        take(self, outcome)
        if "verify" not in str(self._url):
            lines.append(self._answered)

    monkeypatch.setattr(sending.Pass, "_take", note)
    return lines


def killed_after(line: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have the command end behind this line. Return what undoes that."""
    reached = import_progress.ImportProgress.reached

    def kill(self: Any, told: Any) -> None:
        reached(self, told)
        if told.line == line:
            raise Killed

    monkeypatch.setattr(import_progress.ImportProgress, "reached", kill)
    return lambda: monkeypatch.setattr(import_progress.ImportProgress, "reached", reached)


async def turnwire(gateway: Gateway, *args: str) -> Result:
    env = {"TURNWIRE_URL": gateway.url, "TURNWIRE_TOKEN": ""}
    return await asyncio.to_thread(CliRunner().invoke, app, [*args], env=env)


def past_call(number: int, events: int = 2) -> Json:
    at = "2024-05-01T10:00:01Z"
    return {
        "sessionId": f"c{number}",
        "language": "en",
        "startedAt": "2024-05-01T10:00:00Z",
        "events": [{**new_event(f"e{n}", {"n": n}), "timestamp": at} for n in range(events)],
    }


def write(path: Path, count: int = COUNT, events: int = 2) -> Path:
    path.write_text("".join(json.dumps(past_call(number, events)) + "\n" for number in range(count)))
    return path


def kept_files(folder: Path) -> list[Path]:
    return list(folder.glob("*.json"))


async def logs(gateway: Gateway, count: int = COUNT) -> list[list[str]]:
    found = []
    for number in range(count):
        log = (await gateway.get(f"/sessions/c{number}/events"))["events"]
        found.append([each["eventId"] for each in log])
    return found


async def test_a_killed_import_continues_after_the_last_answered_line(
    gateway: Gateway, tmp_path: Path, state_folder: Path, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "calls.ndjson")
    undo = killed_after(4, monkeypatch)
    assert isinstance((await turnwire(gateway, "import", str(file))).exception, Killed)
    undo()
    assert len(kept_files(state_folder)) == 1
    result = await turnwire(gateway, "import", str(file))
    assert result.exit_code == 0, result.output
    assert sent == [1, 2, 3, 4, 5, 6]
    assert "continues after line 4, where it was stopped" in result.output
    assert "0 different, 0 refused" in result.output
    assert "compared: 6 calls with 12 events are stored as given" in result.output
    assert await logs(gateway) == [["e0", "e1"]] * COUNT
    assert kept_files(state_folder) == []


async def test_an_import_that_was_killed_while_it_compared_compares_all_again(
    gateway: Gateway, tmp_path: Path, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "calls.ndjson")
    undo = killed_after(COUNT, monkeypatch)
    await turnwire(gateway, "import", str(file))
    undo()
    result = await turnwire(gateway, "import", str(file))
    assert result.exit_code == 0, result.output
    assert sent == [1, 2, 3, 4, 5, 6]
    assert "compared: 6 calls with 12 events are stored as given" in result.output


async def test_calls_that_are_gone_since_are_sent_again(
    gateway: Gateway, tmp_path: Path, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "calls.ndjson")
    undo = killed_after(4, monkeypatch)
    await turnwire(gateway, "import", str(file))
    undo()
    async with gateway.request("DELETE", "/sessions/c1") as answer:
        assert answer.status == 204
    result = await turnwire(gateway, "import", str(file))
    assert result.exit_code == 0, result.output
    assert await logs(gateway) == [["e0", "e1"]] * COUNT


@pytest.mark.parametrize("how", ["--from-start", "another file"])
async def test_from_the_start_or_with_a_file_that_has_changed_nothing_is_left_out(
    how: str, gateway: Gateway, tmp_path: Path, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "calls.ndjson")
    undo = killed_after(4, monkeypatch)
    await turnwire(gateway, "import", str(file), "--keep-open")
    undo()
    if how == "another file":
        write(file, events=3)
    options = ["--from-start"] if how == "--from-start" else []
    result = await turnwire(gateway, "import", str(file), "--keep-open", *options)
    assert result.exit_code == 0, result.output
    assert sent == [1, 2, 3, 4, *range(1, 7)]


@pytest.mark.parametrize("content", ["", "{", '{"line": "x"}'])
async def test_a_broken_progress_file_is_ignored(
    content: str, gateway: Gateway, tmp_path: Path, state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "calls.ndjson")
    undo = killed_after(4, monkeypatch)
    await turnwire(gateway, "import", str(file))
    undo()
    (kept,) = kept_files(state_folder)
    kept.write_text(content)
    assert (await turnwire(gateway, "import", str(file))).exit_code == 0


async def test_an_import_works_even_if_no_progress_can_be_written(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert (await turnwire(gateway, "import", str(write(tmp_path / "calls.ndjson")))).exit_code == 0


@pytest.mark.e2e
async def test_a_killed_import_imports_no_call_twice_and_misses_none(
    gateway: Gateway, database_uri: str, tmp_path: Path, state_folder: Path
) -> None:
    count = 64
    file = write(tmp_path / "calls.ndjson", count)
    env = {"TURNWIRE_URL": gateway.url, "XDG_STATE_HOME": str(state_folder.parent)}
    async with failing(database_uri, "insert", blockConnection=True, blockTimeMS=100):
        with running_python("-c", AT_ONCE, "import", str(file), env=env) as process:
            while not kept_files(state_folder):
                assert process.poll() is None
                await asyncio.sleep(0.01)
            process.kill()
    result = await turnwire(gateway, "import", str(file))
    assert result.exit_code == 0, result.output
    assert "continues after line" in result.output
    assert f"compared: {count} calls with {2 * count} events are stored as given" in result.output
    assert await logs(gateway, count) == [["e0", "e1"]] * count

"""Killed and restarted bots and gateways: every sent event is stored exactly once."""

from __future__ import annotations

import fcntl
import random
import socket
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.processes import GatewayProcess, running_python, wait_until
from tests.turnwire.logs import log_of
from tests.turnwire.spooling_bot import MAX_OUTBOX
from turnwire import Client, read_spool

pytestmark = pytest.mark.e2e

BOT = "tests/turnwire/spooling_bot.py"
EXAMPLE = "examples/restart.py"
SECONDS = 60.0


@pytest.fixture
def gateway(database_uri: str, database_name: str, tmp_path: Path) -> Iterator[GatewayProcess]:
    """A gateway that listens on the same port after each start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with GatewayProcess(
        tmp_path / "gateway",
        mongodb_uri=database_uri,
        mongodb_database=database_name,
        port=port,
        env={"TURNWIRE_ABANDON_AFTER": "3600"},
    ) as process:
        yield process


def running(program: str, *args: str | Path) -> AbstractContextManager[subprocess.Popen[str]]:
    return running_python(program, *map(str, args), stderr=subprocess.STDOUT)


def finished(program: str, *args: str | Path) -> str:
    """Return what it wrote until it ended by itself, which must be with status 0."""
    with running(program, *args) as process:
        output, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, output
        return output


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def spooled(path: Path) -> int:
    kept = read_spool(path) if path.exists() else None
    return 0 if kept is None else len(kept.events)


def in_use(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


async def test_every_event_whose_send_returned_is_in_the_log_once_in_order_despite_kills(
    gateway: GatewayProcess, tmp_path: Path
) -> None:
    url, spool, notes = gateway.url, tmp_path / "call.spool", tmp_path / "notes"
    arguments = (url, "call", spool, notes)

    def noted(number: int) -> None:
        wait_until(lambda: lines(notes) >= number, f"{number} events sent", SECONDS)

    for _ in range(2):
        for _ in range(3):
            with running(BOT, *arguments):
                noted(lines(notes) + random.randint(1, 600))
        with running(BOT, *arguments):
            noted(lines(notes) + random.randint(1, 300))
            gateway.kill()
            wait_until(lambda: spooled(spool) == MAX_OUTBOX, "a full outbox", SECONDS)
        with running(BOT, *arguments):
            wait_until(lambda: in_use(spool), "the spool taken over", SECONDS)
        assert spooled(spool) == MAX_OUTBOX
        gateway.start()
    sent = lines(notes)
    finished(BOT, *arguments, "50")

    events = await log_of(url, "call")
    assert [event.event_id for event in events] == [f"e{n}" for n in range(sent + 50)]
    assert [event.payload["n"] for event in events] == list(range(sent + 50))
    async with Client(url) as client:
        assert (await client.get("call")).status == "completed"
    assert not in_use(spool)
    assert spooled(spool) == 0


async def test_the_restart_example_continues_after_a_kill(gateway: GatewayProcess, tmp_path: Path) -> None:
    arguments = (gateway.url, "call", tmp_path / "call.spool")
    async with Client(gateway.url) as client:
        await client.create("call")
        for minimum in (3, 9):
            with running(EXAMPLE, *arguments):
                while (await client.get("call")).last_seq < minimum:
                    pass
        assert "completed with 20 events" in finished(EXAMPLE, *arguments)
    turns = [event.payload["turn"] for event in await log_of(gateway.url, "call")]
    assert turns == list(range(1, 21))

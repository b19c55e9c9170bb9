"""`turnwire resend`: sending the spools of calls that never came back."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.support.gateways import Gateway
from tests.turnwire.logs import log_of
from turnwire import Publisher
from turnwire.cli import app


async def left_behind(url: str, session_id: str, spool: Path, count: int, *, language: str | None = "en") -> None:
    """Make the spool of a call that never had a gateway."""
    metadata = None if language is None else {"bot": "b1"}
    call = Publisher(url, session_id, language, metadata=metadata, spool=spool, drain_timeout=0)
    call.start()
    for n in range(count):
        call.post("system", {"n": n})
    await call.aclose()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def resend(*arguments: str | Path) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["resend", *map(str, arguments)])


async def test_resend_sends_every_spool_of_a_folder_to_its_gateway_and_session(
    gateway: Gateway, tmp_path: Path
) -> None:
    for n in range(5):
        await left_behind(gateway.url, f"call-{n}", tmp_path / f"{n}.spool", 10, language="de")
    (tmp_path / "notes.txt").write_text("no spool")
    result = await resend(tmp_path)
    assert result.exit_code == 0, result.output
    assert "0.spool: 10 events of 'call-0': stored" in result.output
    for n in range(5):
        assert [event.payload["n"] for event in await log_of(gateway.url, f"call-{n}")] == list(range(10))
        session = await gateway.get(f"/sessions/call-{n}")
        assert (session["language"], session["metadata"]) == ("de", {"bot": "b1"})
    assert names(tmp_path) == ["notes.txt"]
    result = await resend(tmp_path)
    assert (result.exit_code, result.output) == (0, "nothing is left to send\n")


async def test_resend_reports_and_keeps_events_that_cannot_be_stored(gateway: Gateway, tmp_path: Path) -> None:
    await left_behind(gateway.url, "unknown", tmp_path / "unknown.spool", 1, language=None)
    await left_behind(gateway.url, "in-use", tmp_path / "in-use.spool", 1)
    await left_behind(gateway.url, "good", tmp_path / "good.spool", 1)
    user = Publisher(gateway.url, "in-use", spool=tmp_path / "in-use.spool", http=gateway.client)
    user._delivery.outbox.open()
    result = await resend(tmp_path)
    user._delivery.outbox.release()
    assert result.exit_code == 1
    assert "unknown.spool: 1 event of 'unknown': not all stored: " in result.output
    assert "Session unknown not found" in result.output
    assert "another publisher is using it" in result.output
    assert "good.spool: 1 event of 'good': stored" in result.output
    assert names(tmp_path) == ["in-use.spool", "unknown.spool"]


async def test_resend_waits_a_while_for_a_gateway_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("turnwire.commands.resend.PATIENCE", 0.2)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    await left_behind(url, "call", tmp_path / "spool", 3)
    result = await resend(tmp_path / "spool")
    assert result.exit_code == 1
    assert "3 events of 'call': not all stored: gave up after 0.2 s" in result.output
    assert (tmp_path / "spool").exists()


async def test_resend_of_a_file_that_is_not_a_spool_fails(tmp_path: Path) -> None:
    result = await resend(tmp_path / "nothing")
    assert (result.exit_code, "there is no" in result.output) == (1, True)
    (tmp_path / "text").write_text("no spool")
    result = await resend(tmp_path / "text")
    assert (result.exit_code, "not a spool" in result.output) == (1, True)

"""A source that cannot be read further is told at once, while the gateway and the command would wait for each other."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest
import typer
from rich.progress import Progress
from yarl import URL

from turnwire.address import Address
from turnwire.commands.moving import sending
from turnwire.commands.moving.line_file import LineFile
from turnwire.commands.moving.sending import CallSource, Pass
from turnwire.errors import Unreachable
from turnwire.rest.requests import Rest


class WaitingGateway:
    """Takes a request whose body breaks off as HTTP does: it waits for the rest of it, and answers nothing."""

    address = Address("http://127.0.0.1:3000")

    async def exchange(self, _url: URL, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        async def send() -> None:
            with suppress(Exception):
                async for _ in chunks:
                    pass

        sent = asyncio.create_task(send())
        await asyncio.wait([sent])
        await asyncio.Event().wait()
        yield b""


def a_pass(source: CallSource) -> Pass:
    return Pass(cast("Rest", WaitingGateway()), source, Progress(), verify=False)


@pytest.mark.parametrize("damage", ["cut", "changed", "followed"])
async def test_a_damaged_file_ends_an_import_with_its_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    whole = gzip.compress("".join(json.dumps({"sessionId": f"s{n}"}) for n in range(3000)).encode())
    middle = len(whole) // 2
    parts = {
        "cut": whole[:middle],
        "changed": whole[:middle] + bytes(each ^ 0xFF for each in whole[middle : middle + 9]) + whole[middle + 9 :],
        "followed": whole + b"and more",
    }
    path = tmp_path / "calls.ndjson.gz"
    path.write_bytes(parts[damage])
    source = LineFile.open(path)
    async with asyncio.timeout(10):
        with pytest.raises(typer.Exit):
            await a_pass(source).run()
    await source.close()
    assert f"cannot read {path}" in capsys.readouterr().err


async def test_a_database_that_goes_away_is_named_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "GIVE_UP_AFTER", 0.05)
    tries = 0

    class Going:
        name = "the database old"

        async def chunks(self, _after: int) -> AsyncIterator[bytes]:
            nonlocal tries
            tries += 1
            yield b"{"
            raise Unreachable("cannot read the database old: connection refused")

    async with asyncio.timeout(10):
        with pytest.raises(Unreachable, match=r"cannot read the database old: .* run it again to continue"):
            await a_pass(cast("CallSource", Going())).run()
    assert tries > 1


@pytest.mark.parametrize(("seconds", "sent"), [(0.0, [b"a", b"b", b"c"]), (60.0, [b"abc"])])
async def test_what_a_slow_source_has_given_is_not_held_back(
    monkeypatch: pytest.MonkeyPatch, seconds: float, sent: list[bytes]
) -> None:
    monkeypatch.setattr(sending, "_LONGEST_JOINING", seconds)

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"a", b"b", b"c"):
            yield piece

    assert [each async for each in sending._large(pieces())] == sent

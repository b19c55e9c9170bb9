"""Pipecat calls whose gateway is there, down, frozen or killed: the user hears no difference."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker

from tests.adapters.frameworks.gateway import ROOT, Gateway
from tests.adapters.frameworks.pacing import Pacing, check_evenness, runs_without_and_with, table
from tests.adapters.frameworks.pipecat_bot import Bot, ScriptedModel
from tests.adapters.frameworks.scripted_call import ANSWER, nothing, texts
from tests.adapters.frameworks.waiting import until
from tests.adapters.page_code import run_page, shell_line_of
from turnwire import Client
from turnwire.adapters.pipecat import attach, setup_file

PIECES = 40
"""Of the audio of an answer: 16 words of 100 ms, in pieces of 40 ms. After fewer, a turn cuts the last word off."""


async def talk(bot: Bot, *turns: Any) -> None:
    """Ask the bot once for each of the turns, and call each of them in the middle of the answer."""
    async with bot:
        for turn in turns:
            before = len(bot.speaker.written)
            await bot.user_says("Are you open?")
            await until(lambda: len(bot.speaker.written) > before + 10)  # noqa: B023 -- awaited in this round
            turn()
            await until(lambda: len(bot.speaker.written) >= before + PIECES)  # noqa: B023 -- the same


async def test_a_pipecat_call_reaches_the_gateway_complete_and_ended(gateway: Gateway, session_id: str) -> None:
    bot = Bot([ANSWER, ANSWER])
    call = attach(bot.worker, gateway.url, session_id, language="en", metadata={"bot": "tables"})
    await talk(bot, nothing, nothing)
    assert call.pending == 0
    assert await texts(gateway.url, session_id) == ["Are you open?", ANSWER] * 2
    async with Client(gateway.url) as client:
        session = await client.get(session_id)
        assert (session.status, session.end_reason) == ("completed", "ended")
        assert session.metadata == {"framework": "pipecat", "bot": "tables"}


async def test_a_gateway_that_is_down_costs_the_call_nothing(nowhere: str, caplog: pytest.LogCaptureFixture) -> None:
    bot = Bot([ANSWER])
    began = time.monotonic()
    call = attach(bot.worker, nowhere, "call-1", drain_timeout=0.5)
    async with bot:
        assert time.monotonic() - began < 1
        await bot.user_says("Are you open?")
        await until(lambda: len(bot.speaker.written) >= PIECES)
        leaving = time.monotonic()
    assert time.monotonic() - leaving < 2.5
    assert call.pending == len(call.unanswered()) > 0
    assert [record for record in caplog.records if record.name == "turnwire" and record.levelname == "WARNING"]


async def test_a_gateway_frozen_during_a_call_gets_every_event_when_it_thaws(gateway: Gateway, session_id: str) -> None:
    bot = Bot([ANSWER, ANSWER])
    attach(bot.worker, gateway.url, session_id, drain_timeout=20)
    await talk(bot, gateway.freeze, gateway.thaw)
    assert await texts(gateway.url, session_id) == ["Are you open?", ANSWER] * 2


async def test_a_gateway_killed_during_a_call_gets_every_event_once_it_is_back(
    gateway: Gateway, session_id: str
) -> None:
    bot = Bot([ANSWER, ANSWER])
    attach(bot.worker, gateway.url, session_id, drain_timeout=40)
    restarts: list[asyncio.Task[None]] = []
    await talk(bot, gateway.kill, lambda: restarts.append(asyncio.create_task(asyncio.to_thread(gateway.start))))
    await restarts[0]
    assert await texts(gateway.url, session_id) == ["Are you open?", ANSWER] * 2
    async with Client(gateway.url) as client:
        assert (await client.get(session_id)).status == "completed"


async def pacing_of_a_call(url: str | None, act: Callable[[], None]) -> Pacing:
    """The gaps in the bot's audio. `act` is called in the middle of it."""
    bot = Bot([ANSWER])
    call = None if url is None else attach(bot.worker, url, drain_timeout=0.1)
    async with bot:
        await bot.user_says("Are you open?")
        await until(lambda: len(bot.speaker.written) > 10)
        act()
        await until(lambda: len(bot.speaker.written) >= PIECES)
    assert call is None or call.dropped == 0
    return Pacing.of(bot.speaker.written)


@pytest.mark.pacing
async def test_audio_flows_as_evenly_as_without_turnwire(
    gateway: Gateway, nowhere: str, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = await runs_without_and_with(pacing_of_a_call, gateway, nowhere)
    with capsys.disabled():
        print("\nPipecat: the bot's audio\n" + table(runs))
    check_evenness(runs)


BOT = """
import asyncio
from tests.adapters.frameworks.pipecat_bot import Bot

async def main():
    async with Bot(["It is open until six today."]) as bot:
        await bot.user_says("Are you open?")
        await asyncio.sleep(1.2)

asyncio.run(main())
"""


async def run_bot(tmp_path: Path, url: str = "", **environment: str) -> str:
    """A bot whose code knows nothing of Turnwire, run by the command line of the page. Returns what it logged."""
    path = tmp_path / "bot.py"
    path.write_text(BOT)
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        shell_line_of("pipecat").replace("http://localhost:3000", url),
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "LOGURU_LEVEL": "INFO",
            **environment,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_a_bot_is_published_without_a_line_of_code(gateway: Gateway, tmp_path: Path) -> None:
    await run_bot(
        tmp_path,
        gateway.url,
        TURNWIRE_SESSION_ID="CA123",
        TURNWIRE_METADATA='{"bot": "tables"}',
        TURNWIRE_LANGUAGE="en",
    )
    assert await texts(gateway.url, "CA123") == ["Are you open?", "It is open until six today."]
    async with Client(gateway.url) as client:
        session = await client.get("CA123")
    assert session.metadata == {"framework": "pipecat", "bot": "tables"}
    assert (session.language, session.status) == ("en", "completed")


async def test_a_call_without_a_session_id_gets_one_and_logs_it(gateway: Gateway, tmp_path: Path) -> None:
    output = await run_bot(tmp_path, gateway.url)
    found = re.search(r"this call is session (\S+) of", output)
    assert found is not None, output
    assert found[1][14] == "7"
    async with Client(gateway.url) as client:
        session = await client.get(found[1])
    assert (session.language, session.status) == ("und", "completed")


async def test_a_bot_without_a_gateway_url_runs_unchanged(tmp_path: Path) -> None:
    output = await run_bot(tmp_path, TURNWIRE_METADATA="not JSON")
    assert "TURNWIRE_URL is not set" in output


async def test_the_code_in_pipecat_md_runs(gateway: Gateway, session_id: str) -> None:
    bot = Bot([ANSWER])
    await run_page("pipecat", worker=bot.worker, call_sid=session_id, gateway=gateway.url)
    await talk(bot, nothing)
    assert await texts(gateway.url, session_id) == ["Are you open?", ANSWER]


async def test_the_setup_file_path_is_printed_without_the_command_line_too() -> None:
    printed = []
    for module in (["turnwire", "path", "pipecat"], ["turnwire.adapters.pipecat"]):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *module, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        printed.append((await process.communicate())[0].decode().strip())
    assert printed[1] == str(ROOT / "turnwire/adapters/pipecat/setup_file.py")
    assert len(set(printed)) == 1


async def test_each_call_of_a_process_gets_its_own_session_and_bridged_workers_get_none(
    nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURNWIRE_URL", nowhere)
    monkeypatch.setenv("TURNWIRE_SESSION_ID", "CA1")
    given: list[str] = []
    monkeypatch.setattr(setup_file, "attach", lambda worker, url, session_id, **_: given.append(session_id))
    bridged = PipelineWorker(Pipeline([ScriptedModel([])]), bridged=())
    for worker in (Bot([]).worker, bridged, Bot([]).worker):
        await setup_file.setup_pipeline_worker(worker)
    first, second = given
    assert first == "CA1"
    assert second[14] == "7"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        (
            "TURNWIRE_URL",
            "localhost:3000",
            "'localhost:3000' is not the URL of a gateway, such as http://localhost:3000",
        ),
        (
            "TURNWIRE_TOKEN",
            "two words",
            "a token must consist of visible ASCII characters, without spaces and line breaks",
        ),
    ],
)
async def test_a_wrong_variable_costs_a_call_nothing_but_its_log(
    nowhere: str, variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURNWIRE_URL", nowhere)
    monkeypatch.setenv(variable, value)
    logged: list[str] = []
    sink = logger.add(lambda message: logged.append(str(message)), level="ERROR")
    await setup_file.setup_pipeline_worker(Bot([]).worker)
    logger.remove(sink)
    (line,) = logged
    assert f"Turnwire: this call is not published: {said}" in line

"""The examples do what they say, as processes against a gateway; `tests/adapters` runs those of webhooks."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.gateways import Gateway
from tests.support.processes import ROOT, clean_environment

pytestmark = pytest.mark.e2e

EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))


@asynccontextmanager
async def example(name: str, *args: str, cwd: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "examples" / f"{name}.py"), *args),
        cwd=cwd,
        env=clean_environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def run(name: str, *args: str, cwd: Path) -> str:
    """Return what the example prints. It must end with status 0."""
    async with example(name, *args, cwd=cwd) as process, asyncio.timeout(30):
        assert process.stdout is not None
        said = (await process.stdout.read()).decode()
        assert await process.wait() == 0, said
    return said


async def line_with(process: asyncio.subprocess.Process, text: str) -> str:
    """Return the next line of the process that contains this text."""
    assert process.stdout is not None
    async with asyncio.timeout(30):
        async for line in process.stdout:
            if text in line.decode():
                return line.decode()
    raise AssertionError(f"it ended without a word of {text!r}")


def test_every_example_is_run_by_a_test() -> None:
    routes = (ROOT / "tests" / "adapters" / "test_webhook_routes.py").read_text("utf-8")
    of_webhooks = {name for name in EXAMPLES if f"{name}.application(" in routes}
    assert of_webhooks == {"retell_webhook", "vapi_webhook"}
    assert set(EXAMPLES) - of_webhooks == {"dashboard_feed", "publish", "restart", "subscribe"}


async def test_a_call_is_published_and_followed_to_its_end(gateway: Gateway, tmp_path: Path) -> None:
    async with example("dashboard_feed", gateway.url, cwd=tmp_path) as feed:
        said = await run("publish", gateway.url, cwd=tmp_path)
        found = re.search(r"(call-\w+) is completed with 4 events", said)
        assert found is not None, said
        assert said.count("is stored") == 4
        await line_with(feed, f"{found[1]} completed (user_hangup)")
    followed = await run("subscribe", found[1], gateway.url, cwd=tmp_path)
    assert [int(line.split()[0]) for line in followed.splitlines()] == [1, 2, 3, 4]


async def test_the_subscribe_example_reports_an_unknown_session(gateway: Gateway, tmp_path: Path) -> None:
    assert "there is no session 'nobody'" in await run("subscribe", "nobody", gateway.url, cwd=tmp_path)


async def test_the_restart_example_continues_where_it_was_killed(gateway: Gateway, tmp_path: Path) -> None:
    async with example("restart", gateway.url, cwd=tmp_path) as bot:
        await line_with(bot, "continuing after turn 0")
        async with asyncio.timeout(30):
            while (await gateway.get("/sessions/call-restart"))["lastSeq"] < 5:
                await asyncio.sleep(0.02)
        bot.kill()
    said = await run("restart", gateway.url, cwd=tmp_path)
    assert re.search(r"continuing after turn [5-9]|continuing after turn 1\d", said)
    assert "call-restart is completed with 20 events" in said

"""The protocol's own conformance suite against the gateway, and its own clients in two languages."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.gateways import StartGateway
from tests.support.processes import ROOT
from tests.typescript.conftest import PRINTED
from tests.typescript.node import ENVIRONMENT, find_node

HERE: Final = ROOT / "tests" / "typescript" / "durable_streams"
FOLDER: Final = ENVIRONMENT / "durable-streams"
"""Where the packages are."""
SETTINGS: Final[dict[str, Any]] = {
    "end_grace": 0,  # the suite closes a stream, and reads its end at once
    "long_poll_timeout": 0.5,
    "max_streams_per_principal": 0,
    "max_event_bytes": 256 * 1024,  # for 100 KiB in base64
    "allowed_origins": "https://example.com",
}


async def run(program: Path, *arguments: Path | str, **environment: str) -> tuple[int, str]:
    """Return the exit status of a program, and what it has printed."""
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        cwd=FOLDER,
        env={"PATH": str(program.parent), "HOME": str(FOLDER), **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


def suite_results(path: Path) -> dict[str, str]:
    """Return what became of each test of the suite, by its full name: an empty text, or why it did not pass."""
    (suite,) = json.loads(path.read_text("utf-8"))["testResults"]
    return {
        test["fullName"]: "" if test["status"] == "passed" else "\n".join(test["failureMessages"]) or test["status"]
        for test in suite["assertionResults"]
    }


@pytest.mark.timeout(240)
async def test_the_gateway_passes_every_test_of_the_conformance_suite_that_applies(
    start_gateway: StartGateway, record_property: Callable[[str, object], None]
) -> None:
    gateway = await start_gateway(**SETTINGS)
    for name in ("suite.test.mjs", "translating.mjs"):
        shutil.copy(HERE / name, FOLDER)
    results = FOLDER / "results.json"
    results.unlink(missing_ok=True)
    vitest = FOLDER / "node_modules" / "vitest" / "vitest.mjs"
    options = ("--reporter=json", f"--outputFile={results}", "--no-watch", "--testTimeout=30000")
    _, output = await run(find_node(), vitest, "run", *options, "suite.test.mjs", GATEWAY_URL=gateway.url)
    assert results.exists(), output
    outcomes = suite_results(results)
    failures = {name: reason for name, reason in outcomes.items() if reason}
    listed = set(itertools.chain(*json.loads((HERE / "not_applicable.json").read_text("utf-8")).values()))
    translated = json.loads((FOLDER / "translated.json").read_text("utf-8"))
    counts = f"of {len(outcomes)} tests {len(outcomes) - len(failures)} pass, {len(listed)} do not apply"
    record_property(PRINTED, f"conformance suite of Durable Streams: {counts}; {len(translated)} ran translated")
    wrong = {name: reason for name, reason in failures.items() if name not in listed}
    assert not wrong, "\n".join(f"{name}: {reason.splitlines()[0]}" for name, reason in wrong.items())
    assert not listed - failures.keys(), "these pass, and are listed as not applicable"


@pytest.mark.parametrize("language", ["javascript", "python"])
async def test_the_clients_of_durable_streams_write_and_follow_a_call(
    start_gateway: StartGateway, language: str
) -> None:
    gateway = await start_gateway(end_grace=0.2, long_poll_timeout=1)
    script = HERE / ("client.mjs" if language == "javascript" else "client.py")
    program = find_node() if language == "javascript" else ENVIRONMENT / "bin" / "python"
    shutil.copy(script, FOLDER)
    status, output = await run(program, script.name, STREAM_URL=f"{gateway.url}/streams/call-{language}")
    assert status == 0, output
    read = json.loads(output.splitlines()[-1])
    session = await gateway.get(f"/sessions/call-{language}?limit=100")
    assert read["failures"] == []
    assert read["sse"] == read["longPoll"] == read["caughtUp"] == session["events"]
    assert [event["payload"]["text"] for event in session["events"]] == [f"line {n}" for n in range(1, 51)]
    assert (session["language"], session["status"]) == ("de", "completed")

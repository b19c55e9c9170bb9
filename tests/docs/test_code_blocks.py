"""What the documents tell people to type works: Python runs against a gateway; commands and make targets exist.

Python in `docs/adapters` needs frameworks and running calls. It is only compiled here; `tests/adapters` runs it.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import json
import re
import types
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

import turnwire
from tests.docs.blocks import Block, blocks
from tests.support.gateways import Gateway
from tests.support.processes import ROOT
from turnwire.cli import app

PYTHON = list(blocks("python"))
OF_ADAPTERS = [block for block in PYTHON if block.place.startswith("docs/adapters/")]
RUN = [block for block in PYTHON if block not in OF_ADAPTERS]
SHELL = list(blocks("", "sh", "bash", "console"))
SESSION = re.compile(r"call-\d+")
GATEWAY_URL = re.compile(r"http://(localhost|127\.0\.0\.1):3000")


def compiled(block: Block, text: str) -> types.CodeType:
    """Compile the block as code in which `await` needs no function around it."""
    code = compile(text, block.place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert isinstance(code, types.CodeType)
    return code


def test_the_code_blocks_of_the_documents_are_found() -> None:
    assert {block.place.partition(":")[0] for block in RUN} >= {"README.md", "docs/client.md"}
    assert {"docs/adapters/pipecat.md", "docs/adapters/vapi.md"} <= {
        block.place.partition(":")[0] for block in OF_ADAPTERS
    }
    assert any("turnwire serve" in block.text for block in SHELL)


@pytest.mark.parametrize("block", OF_ADAPTERS, ids=str)
def test_python_in_the_adapter_pages_compiles(block: Block) -> None:
    compiled(block, block.text)


@pytest.mark.parametrize("block", RUN, ids=str)
async def test_python_in_the_documents_runs_against_a_gateway(
    block: Block, gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run each block as it stands, except for the gateway's URL. An endless block is stopped once it has printed.

    A block without `await` runs in its own thread, because the gateway runs in the test's event loop."""
    monkeypatch.chdir(tmp_path)
    for session_id in {"call-0", *SESSION.findall(block.text)}:
        await gateway.create(session_id)
        await gateway.fill(session_id, 1)
    printed = asyncio.Event()
    names = {name: getattr(turnwire, name) for name in turnwire.__all__}
    names |= {"url": gateway.url, "contextlib": contextlib, "asyncio": asyncio, "print": lambda *_: printed.set()}
    code = compiled(block, GATEWAY_URL.sub(gateway.url, block.text))
    if code.co_flags & inspect.CO_COROUTINE:
        await until_done_or_printed(eval(code, names), printed)
    else:
        async with asyncio.timeout(20):
            await asyncio.to_thread(exec, code, names)


async def until_done_or_printed(running: types.CoroutineType[Any, Any, Any], printed: asyncio.Event) -> None:
    task = asyncio.create_task(running)
    said = asyncio.create_task(printed.wait())
    async with asyncio.timeout(20):
        await asyncio.wait({task, said}, return_when=asyncio.FIRST_COMPLETED)
    said.cancel()
    if task.done():
        await task
    else:
        task.cancel()
        await asyncio.wait({task})


@pytest.mark.parametrize("block", list(blocks("json")), ids=str)
def test_json_in_the_documents_is_valid(block: Block) -> None:
    left = block.text.strip()
    while left:
        _, end = json.JSONDecoder().raw_decode(left)
        left = left[end:].lstrip()


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands_and_make_targets_in_the_documents_exist(block: Block) -> None:
    commands = get_command(app)
    assert isinstance(commands, typer.core.TyperGroup)
    context: Any = None  # the group needs none
    targets = set(re.findall(r"^(?:\.PHONY: )?([\w ]+?):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in block.text.splitlines():
        command = re.match(r"(?:\.venv/bin/)?turnwire (\w+)(.*?)(?:\s#.*)?$", line)
        if command:
            known: Any = commands.get_command(context, command[1])
            if isinstance(known, typer.core.TyperGroup):
                known = known.commands[command[2].split()[0]]
            options = {name for parameter in known.params for name in (*parameter.opts, *parameter.secondary_opts)}
            assert set(re.findall(r"(?<!\S)--[\w-]+", command[2])) <= options | {"--help"}
        target = re.match(r"make ([\w-]+)", line)
        if target:
            assert target[1] in targets, f"{block.place}: there is no target {target[1]}"

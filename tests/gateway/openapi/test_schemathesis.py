"""The API against its own document: schemathesis sends what the document allows, and what it does not."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.support.gateways import Gateway

ROOT = Path(__file__).resolve().parents[3]
SOCKETS = ("publish", "subscribe")
"""Operations that answer with a WebSocket."""
OUTWARD = "/webhooks"
"""Routes that make the gateway connect to whatever URL the search invents."""
STREAMS = "/(streams|v1)/"
"""Routes of another protocol, which ignore what they do not know; some answers of them end with their session only."""
EXCLUDED = ("--exclude-path-regex", f"^({OUTWARD}|{STREAMS})")


@pytest.mark.property
@pytest.mark.timeout(120)
async def test_the_api_behaves_as_its_openapi_document_says(gateway: Gateway, tmp_path: Path) -> None:
    await gateway.create("call-0001")
    await gateway.fill("call-0001", 3)
    excluded = [argument for operation in SOCKETS for argument in ("--exclude-operation-id", operation)]
    excluded += EXCLUDED
    run = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "schemathesis.cli",
        "run",
        f"{gateway.url}/openapi.json",
        *("--max-examples", "10", "--seed", "1", "--generation-database", "none", "--no-color"),
        *excluded,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.gateway.openapi.schemathesis_hooks"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await run.communicate()
    assert run.returncode == 0, output.decode()

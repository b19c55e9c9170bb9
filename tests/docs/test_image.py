"""What the Dockerfile runs in the image."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from http import HTTPStatus

import pytest

from tests.support.processes import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.mark.parametrize("status", [HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE], ids=["alive", "not"])
async def test_the_image_asks_itself_whether_it_is_alive(status: HTTPStatus) -> None:
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(f"HTTP/1.1 {status} {status.phrase}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    check = re.search(r"^HEALTHCHECK .*\\\n +CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert check is not None
    python, *arguments = json.loads(check[1])
    assert python == "python"
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, env={"PORT": str(port)})
        assert await process.wait() == (status is not HTTPStatus.OK)
    assert asked[0].startswith(b"GET /health/live HTTP/1.1\r\n")


def test_the_image_compiles_the_modules_of_its_own_python() -> None:
    (version,) = set(re.findall(r"^FROM python:([\d.]+)-", DOCKERFILE, re.MULTILINE))
    assert re.findall(r"compileall .* (\S+)$", DOCKERFILE, re.MULTILINE) == [f"/usr/local/lib/python{version}"]

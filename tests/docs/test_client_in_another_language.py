"""The frames in docs/client-in-another-language.md are what a gateway sends."""

from __future__ import annotations

import json
import re

from tests.docs.blocks import blocks
from tests.support.gateways import Gateway
from tests.support.processes import ROOT
from tests.support.sockets import Socket
from turnwire.protocol.codec import SUBPROTOCOL_MSGPACK
from turnwire.protocol.errors import CloseCode

PAGE = "docs/client-in-another-language.md"


def check(shown: str, received: str, place: str) -> None:
    """Fail unless what was received is what the page shows, where `…` stands for anything."""
    pattern = ".*".join(map(re.escape, shown.split("…")))
    assert re.fullmatch(pattern, received, re.DOTALL), f"{place} shows {shown}, received: {received}"


async def play_socket(gateway: Gateway, lines: list[str], place: str, *, binary: bool) -> None:
    path = lines[0].removeprefix("GET ")
    socket = await Socket.connect(gateway, path, protocols=[SUBPROTOCOL_MSGPACK] if binary else [])
    for line in lines[1:]:
        shown = line[2:]
        if line.startswith(">"):
            await (socket.ws.send_bytes(bytes.fromhex(shown)) if binary else socket.ws.send_str(shown))
        elif binary:
            check(shown, (await socket.ws.receive_bytes(timeout=20)).hex(" "), place)
        else:
            received = await socket.ws.receive_str(timeout=20)
            check(shown, str(received), place)
    await socket.close()


async def play_requests(gateway: Gateway, lines: list[str], place: str) -> None:
    for request, answer in zip(lines[::2], lines[1::2], strict=True):
        method, path, *rest = request.split(" ", 2)
        headers = {"Accept": rest[0]} if method == "GET" and rest else {}
        if path.endswith("/publish"):
            headers |= {"Upgrade": "websocket", "Connection": "upgrade", "Sec-WebSocket-Version": "13"}
            headers["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
        body = json.loads(rest[0]) if method == "POST" else None
        async with gateway.request(method, path, json=body, headers=headers) as response:
            check(answer[2:], f"{response.status} {(await response.text()).strip()}", place)


async def test_every_exchange_on_the_page_for_other_languages_happens_as_shown(gateway: Gateway) -> None:
    played = 0
    for block in blocks("websocket", "msgpack", "http"):
        if block.place.startswith(PAGE):
            lines = block.text.splitlines()
            if block.language == "http":
                await play_requests(gateway, lines, block.place)
            else:
                await play_socket(gateway, lines, block.place, binary=block.language == "msgpack")
            played += 1
    assert played == 8


def test_the_page_for_other_languages_says_what_to_do_after_each_close() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \| (?:stop|get|connect)", (ROOT / PAGE).read_text("utf-8"), re.MULTILINE)
    told = [int(code) for row in rows for code in row.split(", ")]
    listed = re.findall(r"^\| (\d{4}) \|", (ROOT / "docs" / "protocol.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(told) == sorted({*map(int, listed), *map(int, CloseCode), 1006})

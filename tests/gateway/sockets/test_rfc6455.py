"""RFC 6455 to the letter, byte by byte: the opening handshake, frames, and close codes."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from email.parser import BytesParser

import pytest

from tests.support.gateways import Gateway, new_id
from tests.support.sockets import CLOSE, PING, RawSocket, client_frame, publish_path, publisher

VERSION = "Sec-WebSocket-Version: 13"
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = ("Upgrade: websocket", "Connection: Upgrade")


async def asked(gateway: Gateway, request_line: str, *lines: str, body: bytes = b"") -> tuple[int, dict[str, str]]:
    """Status and headers of the answer to a request for a WebSocket."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write("\r\n".join([request_line, *lines, "", ""]).encode() + body)
    async with asyncio.timeout(10):
        status, _, fields = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
    writer.close()
    return int(status.split()[1]), dict(BytesParser().parsebytes(fields))


@pytest.mark.parametrize("path", ["/subscribe", "/sessions/rfc/publish?language=en"])
async def test_only_a_handshake_of_version_13_is_taken(gateway: Gateway, path: str) -> None:
    good = ("Host: localhost", *UPGRADE, VERSION, KEY)
    get = f"GET {path} HTTP/1.1"
    assert (await asked(gateway, get, *good))[0] == 101
    for version in ("12", "8", "7", "0", "14", "013", "13, 8", "x", ""):
        lines = ("Host: localhost", *UPGRADE, f"Sec-WebSocket-Version: {version}", KEY)
        status, headers = await asked(gateway, get, *lines)
        assert (status, headers["Sec-WebSocket-Version"], headers["Upgrade"]) == (426, "13", "websocket"), version
    status, headers = await asked(gateway, get, "Host: localhost", *UPGRADE, KEY)
    assert (status, headers["Sec-WebSocket-Version"]) == (426, "13")


@pytest.mark.parametrize(
    "upgrade",
    [
        ("Upgrade: websocket, h2c",),
        ("Upgrade: h2c,  WebSocket",),
        ("Upgrade: , websocket ,",),
        ("Upgrade: h2c", "Upgrade: websocket"),
    ],
)
async def test_a_handshake_may_list_further_protocols(gateway: Gateway, upgrade: tuple[str, ...]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    lines = ("GET /subscribe HTTP/1.1", "Host: localhost", *upgrade, "Connection: Upgrade", VERSION, KEY, "", "")
    writer.write("\r\n".join(lines).encode())
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"\r\nUpgrade: websocket\r\n" in head
        writer.write(client_frame(b'{"type":"ping","ref":1}'))
        assert b'"pong"' in await reader.readuntil(b"}")
    writer.close()


@pytest.mark.parametrize("path", ["/subscribe", "/sessions/rfc/publish?language=en"])
async def test_a_request_that_is_not_a_handshake_is_refused(gateway: Gateway, path: str) -> None:
    good = ("Host: localhost", *UPGRADE, VERSION, KEY)
    refused: Sequence[tuple[str, Sequence[str], bytes]] = [
        (f"GET {path} HTTP/1.0", good, b""),
        (f"HEAD {path} HTTP/1.1", good, b""),
        (f"GET {path} HTTP/1.1", (*good, "Content-Length: 2"), b"{}"),
        (f"GET {path} HTTP/1.1", (*good, "Transfer-Encoding: chunked"), b"2\r\n{}\r\n0\r\n\r\n"),
        (f"GET {path} HTTP/1.1", ("Host: localhost", *UPGRADE, VERSION), b""),
        (f"GET {path} HTTP/1.1", ("Host: localhost", *UPGRADE, VERSION, "Sec-WebSocket-Key: c2hvcnQ="), b""),
        (f"GET {path} HTTP/1.1", ("Host: localhost", *UPGRADE, VERSION, KEY.replace("==", "!==")), b""),
        (f"GET {path} HTTP/1.1", ("Host: localhost", "Upgrade: websocket", VERSION, KEY), b""),
        (f"GET {path} HTTP/1.1", ("Host: localhost", "Upgrade: h2c", "Connection: Upgrade", VERSION, KEY), b""),
        (f"GET {path} HTTP/1.1", ("Host: localhost", "Upgrade: web, socket", "Connection: Upgrade", VERSION, KEY), b""),
        (f"GET {path} HTTP/1.1", ("Host: localhost",), b""),
    ]
    for line, lines, body in refused:
        assert (await asked(gateway, line, *lines, body=body))[0] == 400, (line, lines)


BROKEN = {
    "not masked": b"\x81\x02{}",
    "a ping that is not masked": b"\x89\x00",
    "16 bits for 2": b"\x81\xfe\x00\x02" + bytes(6),
    "64 bits for 2": b"\x81\xff" + bytes(7) + b"\x02" + bytes(6),
    "a message amid another": client_frame(b"", fin=False) + client_frame(b"{}"),
    **{
        f"close with {code}": client_frame(struct.pack("!H", code), CLOSE)
        for code in (0, 999, 1004, 1005, 1006, 1015, 2000, 5000, 65535)
    },
    "half a close code": client_frame(b"\x03", CLOSE),
    **{f"the reserved opcode {opcode}": client_frame(b"", opcode) for opcode in (3, 7, 11, 15)},
    **{f"the reserved bit {bit:#x}": bytes([0x81 | bit]) + client_frame(b"{}")[1:] for bit in (0x10, 0x20, 0x40)},
    "a ping in pieces": client_frame(b"", PING, fin=False),
    "a long ping": client_frame(bytes(126), PING),
    "a long close": client_frame(b"\x03\xe8" + bytes(124), CLOSE),
    "a piece of no message": client_frame(b"{}", 0),
}


async def test_a_frame_that_breaks_the_protocol_ends_the_connection_with_1002(gateway: Gateway) -> None:
    session_id = new_id("s")
    for path in ("/subscribe", publish_path(session_id, "en")):
        for what, frame in BROKEN.items():
            raw = await RawSocket.connect(gateway, path)
            await raw.send({"type": "ping", "ref": 1})
            await raw.write(frame)
            assert await raw.close_code() == 1002, (path, what)
            raw.close()
    assert await (await publisher(gateway, session_id)).acked("a") == [1]


async def test_a_reason_that_is_not_utf8_is_answered_with_1007(gateway: Gateway) -> None:
    raw = await RawSocket.connect(gateway, "/subscribe")
    await raw.write(client_frame(struct.pack("!H", 1000) + b"\xed\xa0\x80", CLOSE))
    assert await raw.close_code() == 1007
    raw.close()


async def test_codes_that_may_be_sent_are_answered(gateway: Gateway) -> None:
    for code in (1000, 1001, 1011, 1014, 3000, 4999):
        raw = await RawSocket.connect(gateway, "/subscribe")
        await raw.write(client_frame(struct.pack("!H", code), CLOSE))
        assert await raw.close_code() in (code, 1000)
        raw.close()


async def test_frames_that_come_with_the_handshake_are_judged_as_well(gateway: Gateway) -> None:
    head = "\r\n".join(["GET /subscribe HTTP/1.1", "Host: localhost", *UPGRADE, VERSION, KEY, "", ""]).encode()
    good = client_frame(b'{"type":"ping","ref":7}')
    answer = await gateway.send_raw(head + good + b"\x81\x02{}")
    assert b'{"type":"pong","ref":7}' in answer
    assert answer.endswith(struct.pack("!BBH", 0x88, 2, 1002))

"""HTTP to the letter, byte by byte: Host, transfer codings, and the form of a request's target."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support.gateways import Gateway, Json, check_envelope
from turnwire.gateway.http.framing import has_unknown_coding, is_host


async def answered(gateway: Gateway, request: str) -> tuple[int, Json]:
    """Status and JSON of the first answer on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(request.replace("\n", "\r\n").encode("latin-1"))
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
        envelope = json.loads(await reader.readexactly(int(headers["Content-Length"])))
        status = int(head.split()[1])
        assert head.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")), "no answer claims another version"
        if status in (501, 505):
            assert await reader.read() == b"", "what follows cannot be told from the body"
    writer.close()
    if status >= 400:
        check_envelope(envelope, status, headers)
    return status, envelope


BODY = 'Content-Type: application/json\n\n11\n{"language":"en"}\n0\n\n'


UNKNOWN = ("gzip, chunked", "gzip", "deflate", "identity", "chunked, gzip", "identity, chunked", "x", "chunked;q=1")


async def test_a_transfer_coding_other_than_chunked_is_not_implemented(gateway: Gateway) -> None:
    for codings in UNKNOWN:
        request = f"POST /sessions HTTP/1.1\nHost: localhost\nTransfer-Encoding: {codings}\n{BODY}"
        status, envelope = await answered(gateway, request)
        assert (status, envelope["code"]) == (501, "invalid_message"), codings
        assert "chunked" in envelope["message"][0]


async def test_two_headers_of_codings_are_read_as_one(gateway: Gateway) -> None:
    lines = "Transfer-Encoding: gzip\nTransfer-Encoding: chunked\n"
    assert (await answered(gateway, f"POST /sessions HTTP/1.1\nHost: localhost\n{lines}{BODY}"))[0] == 501


async def test_two_headers_of_encodings_are_read_as_one(gateway: Gateway) -> None:
    lines = "Content-Encoding: identity\nContent-Encoding: gzip\nTransfer-Encoding: chunked\n"
    assert (await answered(gateway, f"POST /sessions HTTP/1.1\nHost: localhost\n{lines}{BODY}"))[0] == 415


async def test_chunked_is_served_in_any_case_of_letters(gateway: Gateway) -> None:
    for coding in ("chunked", "Chunked", "CHUNKED "):
        request = f"POST /sessions HTTP/1.1\nHost: localhost\nTransfer-Encoding: {coding}\nConnection: close\n{BODY}"
        assert (await answered(gateway, request))[0] == 200, coding


async def test_two_lengths_of_a_body_are_refused(gateway: Gateway) -> None:
    for lines in ("Content-Length: 17\nTransfer-Encoding: chunked", "Content-Length: 17\nContent-Length: 18"):
        request = f"POST /sessions HTTP/1.1\nHost: localhost\n{lines}\n{BODY}"
        assert (await answered(gateway, request))[0] == 400, lines


@pytest.mark.parametrize("version", ["2.0", "0.9", "3.0", "1.2", "9.9"])
async def test_other_versions_are_refused_by_an_answer_in_ours(gateway: Gateway, version: str) -> None:
    upgrade = "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n"
    upgrade += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n"
    for path, lines in (("/health/live", ""), ("/sessions", ""), ("/subscribe", upgrade)):
        status, envelope = await answered(gateway, f"GET {path} HTTP/{version}\nHost: localhost\n{lines}\n")
        assert (status, envelope["code"]) == (505, "invalid_message"), path
        assert "HTTP/1.1" in envelope["message"][0]


async def test_chunks_in_a_version_that_has_none_are_refused(gateway: Gateway) -> None:
    lines = "Host: localhost\nTransfer-Encoding: chunked\nConnection: keep-alive"
    assert (await answered(gateway, f"POST /sessions HTTP/1.0\n{lines}\n{BODY}"))[0] == 400


@pytest.mark.parametrize(
    ("line", "status", "fault"),
    [
        ("FOO /sessions HTTP/1.1", 501, "FOO is not a known method"),
        ("get /sessions HTTP/1.1", 501, "get is not a known method"),
        ("GET * HTTP/1.1", 400, "its target is not a URL"),
        ("GET /sessions", 505, "HTTP/1.1"),
        ("GET /sessions HTTP/1", 400, "METHOD TARGET HTTP/1.1"),
        ("GET /sessions HTTPS/1.1", 400, "METHOD TARGET HTTP/1.1"),
        ("GET /health/live#x HTTP/1.1", 400, "fragment"),
        ("GET http://localhost/health/live#x HTTP/1.1", 400, "fragment"),
        ("GET ftp://localhost/health/live HTTP/1.1", 400, "must begin with http"),
    ],
)
async def test_a_first_line_that_cannot_be_served_is_named(
    gateway: Gateway, line: str, status: int, fault: str
) -> None:
    found, envelope = await answered(gateway, f"{line}\nHost: localhost\n\n")
    assert found == status
    assert fault in envelope["message"][0]


async def test_the_gateway_as_a_whole_says_which_methods_it_has(gateway: Gateway) -> None:
    answer = await gateway.send_raw(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert b"\r\nAllow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT\r\n" in answer


ODD_HOSTS = (
    "",
    "Host: localhost\nHost: localhost\n",
    "Host: localhost\nHost: other\n",
    "Host: local host\n",
    "Host: localhost/x\n",
    "Host: user@localhost\n",
    "Host: localhost:x\n",
    "Host: localhost:99999\n",
    "Host: localhost, localhost\n",
    "Host: [::1\n",
    "Host: http://localhost\n",
    "Host: \xe4\n",
)


async def test_a_malformed_host_is_refused(gateway: Gateway) -> None:
    for path in ("/sessions", "/health/live"):
        for lines in ODD_HOSTS:
            status, envelope = await answered(gateway, f"GET {path} HTTP/1.1\n{lines}\n")
            assert (status, envelope["code"]) == (400, "invalid_message"), (path, lines)


async def test_a_host_with_a_colon_and_no_port_is_served(gateway: Gateway) -> None:
    request = "GET /sessions HTTP/1.1\nHost: localhost:\nConnection: close\n\n"
    assert (await answered(gateway, request))[0] == 200


async def test_a_target_that_names_another_host_is_refused(gateway: Gateway) -> None:
    for target, expected in (
        ("http://localhost/health/live", 200),
        ("http://LOCALHOST/health/live", 200),
        ("http://rebind.example/health/live", 400),
        ("http://rebind.example?x", 400),
    ):
        request = f"GET {target} HTTP/1.1\nHost: localhost\nConnection: close\n\n"
        assert (await answered(gateway, request))[0] == expected, target


async def test_an_upgrade_to_anything_on_another_route_is_answered_as_a_request(gateway: Gateway) -> None:
    request = (
        "POST /sessions HTTP/1.1\nHost: localhost\nUpgrade: websocket\nConnection: Upgrade, close\n"
        'Content-Type: application/json\nContent-Length: 17\n\n{"language":"en"}'
    )
    status, session = await answered(gateway, request)
    assert (status, session["language"]) == (200, "en")


async def test_what_follows_a_refused_upgrade_is_not_read(gateway: Gateway) -> None:
    """`RequestHandler._message_tail`. If it fails: the gateway works, and one client can slow down all others by
    thousands of upgrades at once, each of which has all that follow parsed again."""
    upgrade = "GET /sessions/none HTTP/1.1\nHost: localhost\nUpgrade: websocket\nConnection: Upgrade\n\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(3 * upgrade.replace("\n", "\r\n").encode())
    async with asyncio.timeout(10):
        assert (await reader.read()).count(b"HTTP/1.1 404") == 1
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    for _ in range(2):  # one after the other, they share a connection
        writer.write(upgrade.replace("\n", "\r\n").encode())
        async with asyncio.timeout(10):
            assert b" 404 " in (await reader.readuntil(b"\r\n\r\n"))
            await reader.readuntil(b"}")
    writer.close()


@pytest.mark.parametrize(
    "value", ["", "localhost", "a.b-c_d", "10.0.0.1:80", "[::1]:3000", "[fe80::1]", "x:", "x:65535"]
)
def test_a_host_is_a_name_or_an_address_with_or_without_a_port(value: str) -> None:
    assert is_host(value)


@pytest.mark.parametrize(
    "value", [" ", "a b", "a/b", "a:b", "a:65536", "[::1", "::1", "a@b", "a\tb", "ä", "a:1:2", "[x]"]
)
def test_text_that_is_not_a_host_is_not_taken_for_one(value: str) -> None:
    assert not is_host(value)


def test_the_codings_of_a_head_that_could_not_be_parsed_are_found() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\ntransfer-encoding : Chunked\r\n%s\r\n"
    assert not has_unknown_coding(head % b"")
    assert not has_unknown_coding(head % b"Content-Encoding: gzip\r\n")
    assert has_unknown_coding(head % b"TRANSFER-ENCODING:br\r\n")

"""Errors: every failure gets the envelope, and none reveals internals."""

from __future__ import annotations

import asyncio
import json
import logging
from email.parser import BytesParser
from typing import Any, Never

import pytest

from tests.support.gateways import Gateway, Json, StartGateway, check_envelope
from turnwire.gateway.http.headers import SECURITY_HEADERS
from turnwire.protocol.errors import Overloaded, StorageUnavailable, TurnwireError
from turnwire.protocol.times import parse_time

HOST = b"Host: localhost\r\n"


def parsed(answer: bytes) -> tuple[int, dict[str, str], Json]:
    """Return status, headers and JSON of exactly one HTTP answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status_line, _, lines = head.partition(b"\r\n")
    headers = dict(BytesParser().parsebytes(lines))
    assert len(body) == int(headers["Content-Length"])
    return int(status_line.split()[1]), headers, json.loads(body)


@pytest.mark.parametrize(
    "path", ["/nope", "/sessions/a/nope", "/sessions/a/events/x", "//", "/health/", "/%00", "/..;/"]
)
async def test_an_unknown_route_gets_404_in_the_error_envelope(gateway: Gateway, path: str) -> None:
    envelope = await gateway.refused("GET", path, 404)
    assert (envelope["code"], envelope["error"]) == ("not_found", "Not Found")
    assert parse_time(envelope["timestamp"]).year > 2000


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/sessions", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("PUT", "/sessions/s", {"GET", "HEAD", "PATCH", "DELETE", "OPTIONS"}),
        ("PATCH", "/sessions/s/events", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("GET", "/sessions/s/complete", {"POST", "OPTIONS"}),
        ("POST", "/health", {"GET", "HEAD", "OPTIONS"}),
        ("TRACE", "/metrics", {"GET", "HEAD", "OPTIONS"}),
    ],
)
async def test_a_wrong_method_gets_405_with_the_allowed_ones(
    gateway: Gateway, method: str, path: str, allowed: set[str]
) -> None:
    async with gateway.request(method, path) as response:
        assert response.status == 405
        assert set(response.headers["Allow"].split(",")) == allowed
        check_envelope(await response.json(), 405, response.headers)


@pytest.mark.parametrize("path", ["/sessions/%s", "/sessions/%s/events"])
@pytest.mark.parametrize("session_id", ["", "x" * 257, "%C3%A4" * 257, "%FF", "%C3%28", "%ED%A0%80"])
async def test_an_impossible_session_id_in_the_path_is_refused(gateway: Gateway, path: str, session_id: str) -> None:
    envelope = await gateway.refused("GET", path.replace("%s", session_id), 400)
    assert envelope["code"] == "invalid_message"
    assert "sessionId" in envelope["message"][0]


async def test_a_broken_escape_in_the_path_is_refused(gateway: Gateway) -> None:
    for escape in (b"%", b"%z", b"a%2", b"%%41"):
        answer = await gateway.send_raw(
            b"GET /sessions/" + escape + b" HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"
        )
        status, headers, envelope = parsed(answer)
        check_envelope(envelope, status, headers)
        assert (status, envelope["path"]) == (400, f"/sessions/{escape.decode()}")


# --- what handlers raise ---------------------------------------------------------------------------------------------


def failing(error: BaseException) -> Any:
    async def fail(*_: object, **__: object) -> Never:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code"), [(StorageUnavailable(), "storage_unavailable"), (Overloaded("too much"), "overloaded")]
)
async def test_a_retryable_error_has_retry_after(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, error: TurnwireError, code: str
) -> None:
    monkeypatch.setattr(gateway.parts.pages, "find", failing(error))
    async with gateway.request("GET", "/sessions") as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "1")
        envelope = await response.json()
    check_envelope(envelope, 503, response.headers)
    assert (envelope["code"], envelope["message"]) == (code, error.message)


async def test_an_unexpected_error_is_logged_under_an_id_and_reveals_nothing(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gateway.parts.pages, "find", failing(RuntimeError("secret detail")))
    envelope = await gateway.refused("GET", "/sessions", 500)
    assert envelope["code"] == "internal"
    assert "secret" not in str(envelope)
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    error_id = envelope["message"].split()[-1]
    assert error_id in record.getMessage()
    assert record.exc_info is not None
    assert "secret detail" in str(record.exc_info[1])


@pytest.mark.parametrize("error", [StorageUnavailable(), RuntimeError("secret detail")])
async def test_an_error_after_the_answer_has_begun_breaks_it_off(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    session_id = await gateway.create()
    await gateway.fill(session_id, 120)
    read = gateway.store.events.read

    async def read_then_fail(session_id: str, first: int, last: int, life: int | None) -> Any:
        if 50 < first <= 120:
            raise error
        return await read(session_id, first, last, life)

    monkeypatch.setattr(gateway.store.events, "read", read_then_fail)
    request = f"GET /sessions/{session_id}/events HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n"
    answer = await gateway.send_raw(request.encode())
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert 0 < answer.count(b'"eventId"') < 120
    assert not answer.endswith(b"0\r\n\r\n")
    assert b"statusCode" not in answer
    assert b"secret" not in answer


async def test_a_storage_outage_before_a_stream_begins_is_an_error_answer(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = await gateway.create()
    await gateway.fill(session_id, 3)
    monkeypatch.setattr(gateway.store.events, "read", failing(StorageUnavailable()))
    for accept in ("application/json", "application/x-ndjson"):
        await gateway.refused("GET", f"/sessions/{session_id}/events", 503, headers={"Accept": accept})


# --- what is no valid HTTP -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_bytes", "method", "path"),
    [
        (b"nonsense\r\n\r\n", "UNKNOWN", "/"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "UNKNOWN", "/"),
        (b"GET /sessions HTTP/9.9\r\n\r\n", "GET", "/sessions"),
        (b"BREW /pot HTTP/1.1\r\n" + HOST + b"\r\n", "BREW", "/pot"),
        (b"GET /sessions/\xc3\xa4 HTTP/1.1\r\n" + HOST + b"\r\n", "UNKNOWN", "/"),
        (b"GET nowhere HTTP/1.1\r\n" + HOST + b"\r\n", "GET", "nowhere"),
        (b"GET /health?x=1 HTTP/1.1\r\nno colon\r\n\r\n", "GET", "/health"),
        (b"GET /health HTTP/1.1\r\nX: \x01\r\n\r\n", "GET", "/health"),
        (b"GET /health HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 20_000 + b"\r\n\r\n", "GET", "/health"),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", "UNKNOWN", "/"),
        (
            b"GET /health HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: 1\r\n" % n for n in range(500)) + b"\r\n",
            "GET",
            "/health",
        ),
        (b"POST /sessions HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", "POST", "/sessions"),
        (b"POST /sessions HTTP/1.1\r\n" + HOST + b"Content-Length: 1e3\r\n\r\n", "POST", "/sessions"),
        (b"POST /sessions HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", "POST", "/sessions"),
        (
            b"POST /sessions HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
            "POST",
            "/sessions",
        ),
        (b"POST /sessions HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc", "POST", "/sessions"),
    ],
)
async def test_a_request_that_is_not_http_gets_the_envelope_and_logs_no_traceback(
    gateway: Gateway, caplog: pytest.LogCaptureFixture, request_bytes: bytes, method: str, path: str
) -> None:
    status, headers, envelope = parsed(await gateway.send_raw(request_bytes))
    assert status == (501 if method == "BREW" else 505 if b"HTTP/9.9" in request_bytes else 400)
    check_envelope(envelope, status, headers)
    assert (envelope["method"], envelope["path"], envelope["code"]) == (method, path, "invalid_message")
    assert headers.items() >= SECURITY_HEADERS.items()
    assert headers["Server"] == "turnwire"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    "rest",
    [
        b"\r\nzz\r\n",
        b"xx",
        b"\r\n0\r\nX T: y\r\n\r\n",
        b"\r\n0\r\nX-T: " + b"y" * 9000,
        b"\r\n0\r\n" + b"X-T: y\r\n" * 500,
    ],
)
async def test_a_body_that_goes_on_badly_gets_one_answer_at_once(gateway: Gateway, rest: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"POST /sessions HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b'5\r\n{"lan' + rest)
    async with asyncio.timeout(5):  # a body may take ten seconds
        answer = await reader.read()
    writer.close()
    assert answer.count(b"HTTP/1.1 ") == 1
    status, headers, envelope = parsed(answer)
    assert (status, headers["Connection"]) == (400, "close")
    assert envelope["message"] == ["the body is cut short, or not valid HTTP"]
    check_envelope(envelope, status, headers)


@pytest.mark.parametrize(
    ("head", "status", "method", "fault"),
    [
        (
            b"POST /sessions HTTP/1.1\r\n" + HOST + b'\r\n{"language":"en"}',
            400,
            "POST",
            "what follows it is not a request",
        ),
        (
            b"GET /sessions HTTP/1.1\r\n" + HOST + b"\r\nnonsense\r\n\r\n",
            400,
            "GET",
            "what follows it is not a request",
        ),
        (b"BREW-TEA2 /pot HTTP/1.1\r\n" + HOST + b"\r\n", 501, "BREW-TEA2", "BREW-TEA2 is not a known method"),
        (b"B(EW /pot HTTP/1.1\r\n" + HOST + b"\r\n", 400, "UNKNOWN", "Invalid method encountered"),
    ],
)
async def test_only_an_unknown_method_is_called_that(
    gateway: Gateway, head: bytes, status: int, method: str, fault: str
) -> None:
    found, _, envelope = parsed(await gateway.send_raw(head))
    assert (found, envelope["method"]) == (status, method)
    assert envelope["message"][0].endswith(fault)


@pytest.mark.parametrize("path", ["/health", "/nope"])
async def test_an_unknown_expectation_gets_the_envelope(gateway: Gateway, path: str) -> None:
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nExpect: a miracle\r\nConnection: close\r\n\r\n".encode()
    status, headers, envelope = parsed(await gateway.send_raw(head))
    assert (status, envelope["path"]) == (417, path)
    check_envelope(envelope, status, headers)


async def test_a_body_announced_with_expect_gets_100_continue(gateway: Gateway) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(
        b"POST /sessions HTTP/1.1\r\n"
        + HOST
        + b"Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 1\r\nConnection: close\r\n\r\n"
    )
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"x")
    status, _, envelope = parsed(await reader.read())
    writer.close()
    assert (status, envelope["code"]) == (400, "invalid_json")


@pytest.mark.parametrize(
    "start", [b"", b"GET /he", b"GET /health HTTP/1.1\r\n", b"GET /health HTTP/1.1\r\nHost: localhost\r\n"]
)
async def test_a_connection_that_sends_no_headers_is_closed(start_gateway: StartGateway, start: bytes) -> None:
    gateway = await start_gateway(header_timeout=0.2)
    assert await gateway.send_raw(start) == b""


async def test_a_connection_whose_second_request_has_no_headers_is_closed(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(header_timeout=0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    whole = b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n"
    loop = asyncio.get_running_loop()
    started = loop.time()
    while loop.time() < started + 0.6:  # well-behaved requests keep the connection, for longer than the limit
        writer.write(whole)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split()[0])
        assert b" 200 " in head
        await reader.readexactly(length)
    writer.write(whole[:20])
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_pipelined_requests_are_answered_in_order(gateway: Gateway) -> None:
    one = b"GET /sessions/%d HTTP/1.1\r\n" + HOST + b"\r\n"
    last = b"GET /sessions/99 HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    answer = await gateway.send_raw(b"".join(one % n for n in range(40)) + last)
    paths = [part.split(b'"')[0].decode() for part in answer.split(b'"path":"')[1:]]
    assert paths == [f"/sessions/{n}" for n in (*range(40), 99)]

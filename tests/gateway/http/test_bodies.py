"""REST: bodies that are too large, too slow, of the wrong type, or not JSON."""

from __future__ import annotations

import asyncio
import gzip
import io
import json

import pytest

from tests.support.gateways import Gateway, StartGateway, check_envelope

JSON = {"Content-Type": "application/json"}
HEAD = b"POST /sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = b'{"language":"en"}'


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        'application/json; charset="UTF-8"',
        "application/json;charset=utf8",
        "application/vnd.turnwire+json",
    ],
)
async def test_a_json_body_is_accepted_under_any_json_media_type(gateway: Gateway, content_type: str) -> None:
    session = await gateway.ask("POST", "/sessions", data=BODY, headers={"Content-Type": content_type})
    assert session["language"] == "en"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/msgpack",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "text/json",
        "application/jsonx",
        "json",
        ";",
        "",
    ],
)
async def test_a_body_with_another_media_type_is_refused(gateway: Gateway, content_type: str) -> None:
    session_id = await gateway.create()
    for path in ("/sessions", f"/sessions/{session_id}/events", f"/sessions/{session_id}/complete"):
        await gateway.refused("POST", path, 415, data=BODY, headers={"Content-Type": content_type})


async def test_a_body_without_a_content_type_is_refused(gateway: Gateway) -> None:
    session_id = await gateway.create()
    for path in ("/sessions", f"/sessions/{session_id}/events", f"/sessions/{session_id}/complete"):
        await gateway.refused("POST", path, 415, data=BODY, skip_auto_headers=["Content-Type"])
    assert (await gateway.get(f"/sessions/{session_id}"))["status"] == "initiated"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"x",
        b"{",
        b'{"language":"en"}}',
        b'{"language":"en"',
        b"{'language':'en'}",
        b'{"language":NaN}',
        b'{"language":"en","metadata":{"a":01}}',
        b'{"language":"\xff"}',
        b'{"language":"\\ud800"}',
        b'{"language":"a\nb"}',
        b"\xef\xbb\xbf" + BODY,
        BODY.decode().encode("utf-16"),
        b"\x00",
    ],
)
async def test_a_body_that_is_not_json_is_refused(gateway: Gateway, body: bytes) -> None:
    envelope = await gateway.refused("POST", "/sessions", 400, data=body, headers=JSON)
    assert envelope["code"] == "invalid_json"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"[]", "object"),
        (b"null", "object"),
        (b"1", "object"),
        (b'"x"', "object"),
        (b"{}", "language"),
        (b'{"language":null}', "language"),
        (b'{"language":1}', "language"),
        (b'{"language":""}', "language"),
        (b'{"language":"%s"}' % (b"x" * 65), "language"),
        (b'{"language":"en","sessionId":""}', "sessionId"),
        (b'{"language":"en","sessionId":1}', "sessionId"),
        (b'{"language":"en","sessionId":"%s"}' % (b"x" * 257), "sessionId"),
        (b'{"language":"en","status":"completed"}', "status"),
        (b'{"language":"en","metadata":[]}', "metadata"),
        (b'{"language":"en","metadata":{"a":1e999}}', "metadata"),
        (b'{"language":"en","metadata":{"a":-9223372036854775809}}', "metadata"),
        (b'{"language":"en","metadata":{"a":%s}}' % (b"9" * 5000), "metadata"),
    ],
)
async def test_a_body_that_is_not_a_session_is_refused(gateway: Gateway, body: bytes, field: str) -> None:
    envelope = await gateway.refused("POST", "/sessions", 400, data=body, headers=JSON)
    assert envelope["code"] == "invalid_message"
    assert field in envelope["message"][0]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"{}", "invalid_event", "eventId"),
        (b"[]", "invalid_message", "object"),
        (b'{"events":{}}', "invalid_message", "events"),
        (b'{"events":[]}', "invalid_message", "events"),
        (b'{"events":[1]}', "invalid_event", "events[0]"),
        (b'{"eventId":"e","type":"shout","payload":{}}', "invalid_event", "type"),
        (b'{"eventId":"e","type":"system"}', "invalid_event", "payload"),
        (b'{"eventId":"e","type":"system","payload":[]}', "invalid_event", "payload"),
        (b'{"eventId":"e","type":"system","payload":null}', "invalid_event", "payload"),
        (b'{"eventId":"","type":"system","payload":{}}', "invalid_event", "eventId"),
        (b'{"eventId":"%s","type":"system","payload":{}}' % (b"x" * 257), "invalid_event", "eventId"),
        (b'{"eventId":"e","type":"system","payload":{},"timestamp":"noon"}', "invalid_event", "timestamp"),
        (
            b'{"eventId":"e","type":"system","payload":{},"timestamp":"2025-12-21T12:00:00"}',
            "invalid_event",
            "timestamp",
        ),
        (b'{"eventId":"e","type":"system","payload":{},"timestamp":1766318400}', "invalid_event", "timestamp"),
        (
            b'{"eventId":"e","type":"system","payload":{},"timestamp":"0001-01-01T00:00:00+10:00"}',
            "invalid_event",
            "timestamp",
        ),
        (
            b'{"eventId":"e","type":"system","payload":{},"timestamp":"9999-12-31T23:59:59-10:00"}',
            "invalid_event",
            "timestamp",
        ),
    ],
)
async def test_a_body_that_is_not_an_event_is_refused(gateway: Gateway, body: bytes, code: str, field: str) -> None:
    path = f"/sessions/{await gateway.create()}/events"
    envelope = await gateway.refused("POST", path, 400, data=body, headers=JSON)
    assert envelope["code"] == code
    assert field in envelope["message"][0]
    assert (await gateway.get(path))["lastSeq"] == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"status":"active"}', "status"),
        (b'{"reason":""}', "reason"),
        (b'{"reason":1}', "reason"),
        (b'{"reason":"%s"}' % (b"x" * 257), "reason"),
        (b"[]", "object"),
    ],
)
async def test_a_body_that_is_not_an_end_is_refused(gateway: Gateway, body: bytes, field: str) -> None:
    session_id = await gateway.create()
    envelope = await gateway.refused("POST", f"/sessions/{session_id}/complete", 400, data=body, headers=JSON)
    assert field in envelope["message"][0]
    assert (await gateway.get(f"/sessions/{session_id}"))["status"] == "initiated"


# --- size and time ---------------------------------------------------------------------------------------------------


def padded(size: int) -> bytes:
    """Return a valid body of exactly this many bytes."""
    return BODY[:-1] + b" " * (size - len(BODY)) + b"}"


async def test_a_body_of_exactly_the_limit_is_served_and_one_byte_more_is_not(gateway: Gateway) -> None:
    limit = gateway.gateway.config.limits.frame_bytes
    await gateway.ask("POST", "/sessions", data=io.BytesIO(padded(limit)), headers=JSON)
    envelope = await gateway.refused("POST", "/sessions", 413, data=io.BytesIO(padded(limit + 1)), headers=JSON)
    assert (envelope["code"], str(limit) in envelope["message"]) == ("too_large", True)


async def test_a_chunked_body_is_measured_while_it_arrives(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_frame_bytes=4096, max_event_bytes=4096, header_timeout=1)
    chunk = b"400\r\n" + b" " * 0x400 + b"\r\n"
    head = HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    answer = await gateway.send_raw(head + chunk * 4 + b"0\r\n\r\n")
    assert b" 400 " in answer.splitlines()[0]
    answer = await gateway.send_raw(head + chunk * 5)  # the body has no end
    assert b" 413 " in answer.splitlines()[0]


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """A body that is 1,000 times as large when inflated."""
    return gzip.compress(bytes(64 * 1024 * 1024))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x-unknown"])
@pytest.mark.parametrize(("method", "path"), [("POST", "/sessions"), ("GET", "/health/live"), ("POST", "/nowhere")])
async def test_a_compressed_body_is_refused_and_never_inflated(
    gateway: Gateway, bomb: bytes, method: str, path: str, encoding: str
) -> None:
    headers = {**JSON, "Content-Encoding": encoding}
    envelope = await gateway.refused(method, path, 415, data=bomb, headers=headers)
    assert "Content-Encoding" in envelope["message"]


async def test_a_body_with_content_encoding_identity_is_accepted(gateway: Gateway) -> None:
    await gateway.ask("POST", "/sessions", data=BODY, headers={**JSON, "Content-Encoding": "identity"})


async def test_a_body_that_never_ends_is_answered_408(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(header_timeout=0.3)
    answer = await gateway.send_raw(HEAD + b"Content-Length: 100\r\n\r\n{")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"Connection: close" in head
    check_envelope(json.loads(body), 408, {"Content-Type": "application/json; charset=utf-8"})


async def test_a_client_that_disconnects_during_its_body_harms_no_other(gateway: Gateway) -> None:
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(HEAD + b"Content-Length: 100\r\n\r\n{")
        await writer.drain()
        writer.transport.abort()
    assert (await gateway.get("/sessions"))["sessions"] == []

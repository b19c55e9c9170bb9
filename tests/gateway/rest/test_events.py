"""REST: appending events, and reading them in seq order as windows and as NDJSON."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.gateways import Gateway, Json, StartGateway, new_event
from turnwire.gateway.sessions.windows import next_window
from turnwire.protocol.times import parse_time

JSON = {"Content-Type": "application/json"}
LINE_BREAKS = "\u2028\u2029\u0085"
NDJSON = {"Accept": "application/x-ndjson"}


async def append(gateway: Gateway, session_id: str, body: Json) -> tuple[Json, str | None]:
    """Return the answer, and the header that says whether every event had been stored before."""
    async with gateway.request("POST", f"/sessions/{session_id}/events", json=body) as response:
        assert response.status == 201, await response.text()
        return await response.json(), response.headers.get("Idempotent-Replayed")


async def read_lines(gateway: Gateway, path: str, headers: dict[str, str] | None = None) -> list[Json]:
    """Return the events of an NDJSON answer."""
    async with gateway.request("GET", path, headers=headers or NDJSON) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"] == "application/x-ndjson"
        text = await response.text()
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


# --- appending -------------------------------------------------------------------------------------------------------


async def test_a_posted_event_is_answered_as_stored(gateway: Gateway) -> None:
    session_id = await gateway.create()
    sent = new_event("e1", {"text": "hello"}, timestamp="2025-12-21T12:00:00.123456+02:00")
    stored, replayed = await append(gateway, session_id, sent)
    assert replayed is None
    assert stored == {
        "eventId": "e1",
        "sessionId": session_id,
        "type": "user_speech",
        "payload": {"text": "hello"},
        "timestamp": "2025-12-21T10:00:00.123Z",
        "seq": 1,
    }


async def test_a_posted_event_without_a_timestamp_gets_the_gateways_time(gateway: Gateway) -> None:
    session_id = await gateway.create()
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    for event_id, fields in (("e1", {}), ("e2", {"timestamp": None})):
        stored, _ = await append(gateway, session_id, new_event(event_id, **fields))
        assert before <= parse_time(stored["timestamp"]) <= datetime.now(UTC)


async def test_a_posted_batch_is_answered_in_its_order(gateway: Gateway) -> None:
    session_id = await gateway.create()
    await append(gateway, session_id, new_event("old", {"n": 0}))
    batch = [new_event("b", {"n": 1}), new_event("old", {"n": 99}), new_event("a", {"n": 2}), new_event("b", {"n": 98})]
    answer, replayed = await append(gateway, session_id, {"events": batch})
    assert replayed is None
    assert [(event["eventId"], event["seq"], event["payload"]["n"]) for event in answer["events"]] == [
        ("b", 2, 1),
        ("old", 1, 0),
        ("a", 3, 2),
        ("b", 2, 1),
    ]
    again, replayed = await append(gateway, session_id, {"events": batch})
    assert (again, replayed) == (answer, "true")


async def test_a_duplicate_post_is_answered_with_the_event_first_stored(gateway: Gateway) -> None:
    session_id = await gateway.create()
    first, _ = await append(gateway, session_id, new_event("e1", {"n": 1}))
    other = new_event("e1", {"n": 2}, type="system", timestamp="2020-01-01T00:00:00Z")
    assert await append(gateway, session_id, other) == (first, "true")
    assert (await gateway.get(f"/sessions/{session_id}/events"))["events"] == [first]


async def test_a_batch_of_the_largest_size_is_stored_and_one_event_more_is_refused(gateway: Gateway) -> None:
    session_id = await gateway.create()
    assert len(await gateway.fill(session_id, 500)) == 500
    path = f"/sessions/{session_id}/events"
    too_many = {"events": [new_event(f"x{n}") for n in range(501)]}
    envelope = await gateway.refused("POST", path, 400, json=too_many)
    assert (envelope["code"], "500" in envelope["message"][0]) == ("invalid_message", True)
    assert (await gateway.get(path))["lastSeq"] == 500


async def test_one_bad_event_stores_nothing_of_its_batch(gateway: Gateway) -> None:
    session_id = await gateway.create()
    path = f"/sessions/{session_id}/events"
    batch = {"events": [new_event("a"), new_event("b", type="shout"), new_event("c"), new_event("")]}
    envelope = await gateway.refused("POST", path, 400, json=batch)
    assert envelope["code"] == "invalid_event"
    assert [text.partition(":")[0] for text in envelope["message"]] == ["events[1]", "events[3]"]
    assert "type" in envelope["message"][0]
    assert "eventId" in envelope["message"][1]
    assert (await gateway.get(path)) == {"events": [], "lastSeq": 0, "nextAfterSeq": 0}


async def test_an_ended_session_takes_posted_events_for_the_grace_time(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(end_grace=3600)
    session_id = await gateway.create()
    await gateway.post(f"/sessions/{session_id}/complete", {})
    stored, _ = await append(gateway, session_id, new_event("late"))
    assert stored["seq"] == 1
    assert (await gateway.get(f"/sessions/{session_id}"))["status"] == "completed"


async def test_after_the_grace_time_only_stored_events_are_answered(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(end_grace=0)
    session_id = await gateway.create()
    first, _ = await append(gateway, session_id, new_event("e1"))
    await gateway.post(f"/sessions/{session_id}/complete", {})
    path = f"/sessions/{session_id}/events"
    assert (await gateway.refused("POST", path, 409, json=new_event("late")))["code"] == "session_ended"
    assert await append(gateway, session_id, new_event("e1")) == (first, "true")
    mixed = {"events": [new_event("e1"), new_event("late")]}
    assert (await gateway.refused("POST", path, 409, json=mixed))["code"] == "session_ended"
    assert (await gateway.get(path))["lastSeq"] == 1


async def test_an_event_of_the_largest_size_is_stored_and_one_byte_more_is_refused(gateway: Gateway) -> None:
    session_id = await gateway.create()
    path = f"/sessions/{session_id}/events"

    def body(event_id: str, size: int) -> bytes:
        frame = json.dumps(new_event(event_id, {"text": ""}), separators=(",", ":")).encode()
        return frame.replace(b'"text":""', b'"text":"%s"' % (b"x" * (size - len(frame))))

    limit = gateway.gateway.config.limits.event_bytes
    stored = await gateway.ask("POST", path, status=201, data=body("e1", limit), headers=JSON)
    assert stored["seq"] == 1
    envelope = await gateway.refused("POST", path, 413, data=body("e2", limit + 1), headers=JSON)
    assert envelope["code"] == "too_large"
    assert str(limit) in str(envelope["message"])


# --- windows ---------------------------------------------------------------------------------------------------------


async def test_windows_by_after_seq_cover_the_whole_log(gateway: Gateway) -> None:
    session_id = await gateway.create()
    stored = await gateway.fill(session_id, 230)
    for limit, steps in (("", [100, 200, 230, 230]), ("&limit=90", [90, 180, 230, 230])):
        events: list[Json] = []
        after_seq = 0
        for step in steps:
            window = await gateway.get(f"/sessions/{session_id}/events?afterSeq={after_seq}{limit}")
            assert (window["lastSeq"], window["nextAfterSeq"]) == (230, step)
            events += window["events"]
            after_seq = step
        assert events == stored


async def test_a_window_beyond_the_end_is_empty(gateway: Gateway) -> None:
    session_id = await gateway.create()
    await gateway.fill(session_id, 2)
    for after_seq in (2, 3, 2**53):
        window = await gateway.get(f"/sessions/{session_id}/events?afterSeq={after_seq}")
        assert window == {"events": [], "lastSeq": 2, "nextAfterSeq": after_seq}


@pytest.mark.parametrize("query", ["afterSeq=-1", "afterSeq=x", "afterSeq=", "limit=0", "limit=101", "afterSeq=1.0"])
@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson", "text/event-stream"])
async def test_an_invalid_after_seq_is_refused(gateway: Gateway, query: str, accept: str) -> None:
    session_id = await gateway.create()
    path = f"/sessions/{session_id}/events?{query}"
    envelope = await gateway.refused("GET", path, 400, headers={"Accept": accept})
    assert envelope["message"][0].startswith(query.partition("=")[0])


# --- NDJSON ----------------------------------------------------------------------------------------------------------


async def test_ndjson_streams_the_rest_of_the_log(gateway: Gateway) -> None:
    session_id = await gateway.create()
    stored = await gateway.fill(session_id, 777)
    path = f"/sessions/{session_id}/events"
    assert await read_lines(gateway, path) == stored
    assert await read_lines(gateway, f"{path}?afterSeq=700&limit=1") == stored[700:]
    assert await read_lines(gateway, f"{path}?afterSeq=777") == []
    assert await read_lines(gateway, f"{path}?afterSeq=9999") == []


async def test_ndjson_of_an_empty_session_is_empty(gateway: Gateway) -> None:
    assert await read_lines(gateway, f"/sessions/{await gateway.create()}/events") == []


async def test_ndjson_keeps_line_breaks_inside_events(gateway: Gateway) -> None:
    session_id = await gateway.create()
    stored, _ = await append(gateway, session_id, new_event("e\n1", {"\n\x0b\x1c": f"a\r\nb{LINE_BREAKS}“éÂ"}))
    async with gateway.request("GET", f"/sessions/{session_id}/events", headers=NDJSON) as response:
        (line,) = (await response.text()).splitlines()  # at every line break of Unicode
    assert json.loads(line) == stored


@pytest.mark.parametrize(
    ("count", "size", "following"),
    [
        (8, 800, 16),
        (50, 5_000, 50),
        (8, 1_048_576, 2),
        (50, 6_553_600, 2),
        (2, 2_000_000, 1),
        (1, 0, 2),
        (1, 262_144, 1),
    ],
)
def test_an_export_reads_few_events_at_a_time_where_they_are_large(count: int, size: int, following: int) -> None:
    assert next_window(count, size) == following


async def test_ndjson_waits_for_a_slow_reader_and_ends_where_the_log_ended_at_its_start(gateway: Gateway) -> None:
    session_id = await gateway.create()
    path = f"/sessions/{session_id}/events"
    for first in range(0, 300, 5):
        events = [new_event(f"e{n}", {"text": "x" * 100_000}) for n in range(first, first + 5)]
        await gateway.post(path, {"events": events}, status=201)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=2**20)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\nConnection: close\r\n\r\n".encode()
    )
    assert b" 200 " in await reader.readline()
    await gateway.post(path, new_event("late"), status=201)
    transports = [protocol.transport for protocol in gateway.runner.server.connections]  # type: ignore[union-attr]
    waiting = sum(transport.get_write_buffer_size() for transport in transports if transport is not None)
    assert waiting < 8 * 1024 * 1024  # of 30 MB
    async with asyncio.timeout(30):
        body = await reader.read()
    writer.close()
    assert body.count(b'"eventId":"e') == 300
    assert b'"late"' not in body
    assert body.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("application/json, application/x-ndjson", "application/json"),
        ("application/x-ndjson, application/json", "application/x-ndjson"),
        ("*/*, application/x-ndjson", "application/x-ndjson"),
        ("application/json;q=0.5, application/x-ndjson;q=0.6", "application/x-ndjson"),
        ("application/json;q=0.5, application/x-ndjson;q=0", "application/json"),
        ("APPLICATION/X-NDJSON", "application/x-ndjson"),
        ("application/x-ndjson;q=nonsense", "application/json"),
        ("image/png", "application/json"),
        (",;=,", "application/json"),
    ],
)
async def test_the_accept_header_selects_the_form_of_the_events(
    gateway: Gateway, accept: str | None, content_type: str
) -> None:
    session_id = await gateway.create()
    headers = {} if accept is None else {"Accept": accept}
    async with gateway.request("GET", f"/sessions/{session_id}/events", headers=headers) as response:
        assert response.status == 200
        assert response.content_type == content_type


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson", "text/event-stream"])
async def test_head_on_events_is_answered_without_a_body(gateway: Gateway, accept: str) -> None:
    session_id = await gateway.create()
    await gateway.fill(session_id, 1)
    async with gateway.request("HEAD", f"/sessions/{session_id}/events", headers={"Accept": accept}) as response:
        assert (response.status, response.content_type) == (200, accept)
        assert await response.read() == b""

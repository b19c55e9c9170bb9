"""Every REST call of the client: against a gateway, and as the requests it sends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from tests.support.gateways import Gateway
from tests.turnwire.relay import Relay
from turnwire import Client, EventIn, errors


async def test_the_client_lists_sessions_across_pages(gateway: Gateway) -> None:
    async with Client(gateway.url) as client:
        ids = [(await client.create(language="de" if n % 2 else "en")).session_id for n in range(230)]
        assert {session.session_id async for session in client.list()} == set(ids)
        assert {session.session_id async for session in client.list(language="de")} == set(ids[1::2])
        assert len([session async for session in client.list(limit=120)]) == 120
        assert [session async for session in client.list(status="failed")] == []


async def test_the_client_reads_a_log_by_windows_and_as_a_stream(gateway: Gateway) -> None:
    await gateway.create("call", metadata={"a": 1})
    await gateway.fill("call", 1200)
    async with Client(gateway.url) as client:
        page = await client.events("call", after_seq=1190, limit=5)
        assert [event.seq for event in page.events] == list(range(1191, 1196))
        assert (page.last_seq, page.next_after_seq) == (1200, 1195)
        assert [event.seq async for event in client.export("call", after_seq=3)] == list(range(4, 1201))
        session = await client.get("call")
        assert (session.last_seq, session.metadata) == (1200, {"a": 1})
        assert await client.create("call", "de") == session


async def test_each_refusal_of_the_gateway_raises_its_kind_of_error(gateway: Gateway) -> None:
    async with Client(gateway.url) as client:
        await client.check()
        with pytest.raises(errors.SessionNotFound) as raised:
            await client.get("nobody")
        assert (raised.value.status, raised.value.code) == (404, "not_found")
        with pytest.raises(errors.SessionNotFound):
            _ = [event async for event in client.export("nobody")]
        with pytest.raises(errors.Refused) as refused:
            await client.events("x", limit=0)
        assert refused.value.status == 400


async def test_an_export_that_breaks_off_raises(gateway: Gateway, relay: Relay) -> None:
    await gateway.create("call")
    await gateway.fill("call", 1000)
    async with Client(relay.url) as client, aclosing(client.export("call")) as events:
        assert (await anext(events)).seq == 1
        relay.cut()
        with pytest.raises(errors.Unreachable):
            _ = [event async for event in events]


async def test_without_a_gateway_the_client_raises_unreachable(gateway: Gateway, relay: Relay) -> None:
    relay.refusing = True
    async with Client(relay.url) as client:
        with pytest.raises(errors.Unreachable, match="cannot reach"):
            await client.check()


async def test_events_are_appended_and_come_back_as_they_were_stored_first(gateway: Gateway) -> None:
    await gateway.create("call")
    moment = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)
    async with Client(gateway.url) as client:
        (first,) = await client.append("call", EventIn("e1", "system", {"n": 1}, moment))
        assert (first.seq, first.timestamp, first.session_id) == (1, "2026-03-01T12:00:00.123Z", "call")
        again = await client.append("call", [EventIn("e1", "system", {"n": 9}), EventIn("e2", "bot_speech", {})])
        assert [(event.seq, event.payload) for event in again] == [(1, {"n": 1}), (2, {})]
        with pytest.raises(errors.Refused, match="eventId"):
            await client.append("call", [EventIn("", "system", {})])
        with pytest.raises(errors.SessionNotFound):
            await client.append("nobody", EventIn("e1", "system", {}))


async def test_a_session_is_read_with_a_page_of_its_events(gateway: Gateway) -> None:
    await gateway.create("call", metadata={"a": 1})
    await gateway.fill("call", 45)
    async with Client(gateway.url) as client:
        page = await client.history("call", page=2, limit=20)
        assert [event.seq for event in page.events] == list(range(21, 41))
        assert (page.pagination.page, page.pagination.total_pages, page.pagination.total) == (2, 3, 45)
        assert page.metadata == {"a": 1}
        last = await client.history("call", offset=40, limit=10, order="desc")
        assert [event.seq for event in last.events] == [5, 4, 3, 2, 1]
        assert (last.pagination.offset, last.pagination.has_more) == (40, False)


async def test_the_client_returns_the_figures_of_a_conversation(gateway: Gateway) -> None:
    await gateway.create("call")
    async with Client(gateway.url) as client:
        said = [EventIn("e1", "user_speech", {"text": "Hello?"}), EventIn("e2", "bot_speech", {"text": "Hello!"})]
        await client.append("call", said)
        stats = await client.stats("call")
    assert (stats.session_id, stats.last_seq, stats.turns.total) == ("call", 2, 2)


async def test_the_client_reads_single_pages_of_sessions(gateway: Gateway) -> None:
    async with Client(gateway.url) as client:
        for _ in range(5):
            await client.create()
        first = await client.list_page(limit=3)
        second = await client.list_page(limit=3, cursor=first.next_cursor)
    assert (len(first.sessions), len(second.sessions), second.next_cursor) == (3, 2, None)


# Requests sent


class Recorder:
    """A server that gives every request the same answer, and keeps the requests."""

    def __init__(self) -> None:
        self.answer: Any = {}
        self.asked: list[tuple[str, str, Any]] = []
        """Method, path with query, body."""

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.asked.append((request.method, request.path_qs, json.loads(body) if body else None))
        return web.Response(status=204) if self.answer is None else web.json_response(self.answer)


@pytest.fixture
async def recorded() -> AsyncIterator[tuple[Recorder, Client]]:
    recorder = Recorder()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", recorder.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with Client(f"http://127.0.0.1:{runner.addresses[0][1]}/base") as client:
        yield recorder, client
    await runner.cleanup()


SESSION = {"sessionId": "a/b", "status": "active", "language": "en", "startedAt": "2026-01-01T00:00:00.000Z"}


async def test_every_filter_of_list_is_sent_as_its_parameter(recorded: tuple[Recorder, Client]) -> None:
    recorder, client = recorded
    recorder.answer = {"sessions": [SESSION], "nextCursor": None, "count": {"value": 1, "exact": True}}
    found = [
        session
        async for session in client.list(
            status="completed",
            language="de",
            started_after="2026-01-01T00:00:00Z",
            started_before=None,
            end_reason="hangup",
            id_prefix="call-",
            metadata={"customerId": "c 1", "bot": "b&1"},
            min_duration_ms=1000,
            max_duration_ms=60_000,
            has_errors=True,
            tools_failed=1,
            min_response_p95_ms=800,
            min_interruptions=2,
            q="two words",
            order="asc",
        )
    ]
    assert [session.session_id for session in found] == ["a/b"]
    assert recorder.asked == [
        (
            "GET",
            "/base/sessions?status=completed&language=de&startedAfter=2026-01-01T00%3A00%3A00Z&endReason=hangup"
            "&idPrefix=call-&minDurationMs=1000&maxDurationMs=60000&hasErrors=true&toolsFailed=1&minResponseP95Ms=800"
            "&minInterruptions=2&q=two+words&order=asc&metadata.customerId=c+1&metadata.bot=b%261&limit=100",
            None,
        )
    ]
    with pytest.raises(TypeError, match="no filter 'statuss'"):
        await client.list_page(statuss="active")  # type: ignore[call-arg]


async def test_patch_sends_a_merge_patch(recorded: tuple[Recorder, Client]) -> None:
    recorder, client = recorded
    recorder.answer = SESSION
    assert (await client.patch("a/b", metadata={"score": 5, "draft": None}, language="de")).session_id == "a/b"
    assert recorder.asked == [
        ("PATCH", "/base/sessions/-?sessionId=a%2Fb", {"metadata": {"score": 5, "draft": None}, "language": "de"})
    ]


async def test_delete_erases_a_session(recorded: tuple[Recorder, Client]) -> None:
    recorder, client = recorded
    recorder.answer = None
    await client.delete("a/b")
    await client.delete("a/b", force=True)
    assert recorder.asked == [
        ("DELETE", "/base/sessions/-?sessionId=a%2Fb", None),
        ("DELETE", "/base/sessions/-?sessionId=a%2Fb&force=true", None),
    ]


async def test_command_sends_a_command_to_the_bot(recorded: tuple[Recorder, Client]) -> None:
    recorder, client = recorded
    recorder.answer = {"commandId": "c1", "state": "requested"}
    state = await client.command("a/b", "say", {"text": "One moment."}, command_id="c1", by="ann", ttl_ms=5000)
    assert (state.command_id, state.state, state.message) == ("c1", "requested", None)
    body = {"commandId": "c1", "command": "say", "payload": {"text": "One moment."}, "by": "ann", "ttlMs": 5000}
    assert recorder.asked == [("POST", "/base/sessions/-/commands?sessionId=a%2Fb", body)]


async def test_mint_token_returns_a_token(recorded: tuple[Recorder, Client]) -> None:
    recorder, client = recorded
    recorder.answer = {"token": "t", "expiresAt": "2026-01-01T00:10:00.000Z"}
    minted = await client.mint_token("browser", scope="session:read", sessions=["call-*"], ttl=60)
    assert (minted.token, minted.expires_at) == ("t", "2026-01-01T00:10:00.000Z")
    body = {"sub": "browser", "scope": "session:read", "sessions": ["call-*"], "ttl": 60}
    assert recorder.asked == [("POST", "/base/tokens", body)]


async def test_call_stats_returns_sums_over_calls(recorded: tuple[Recorder, Client]) -> None:
    recorder, client = recorded
    figures = {
        "calls": 2,
        "failed": 1,
        "talkMs": 9000,
        "responseP50Ms": 700,
        "responseP95Ms": None,
        "missed": 0,
        "interruptions": 1,
        "toolsFailed": 0,
        "errors": 0,
    }
    recorder.answer = {"groups": [{"key": "2026-01-01", **figures}], "total": {"key": None, **figures}}
    stats = await client.call_stats(started_after="2026-01-01T00:00:00Z", group_by="day")
    assert [(group.key, group.calls) for group in stats.groups] == [("2026-01-01", 2)]
    assert (stats.total.key, stats.total.response_p50_ms) == (None, 700)
    assert recorder.asked == [("GET", "/base/stats?startedAfter=2026-01-01T00%3A00%3A00Z&groupBy=day", None)]

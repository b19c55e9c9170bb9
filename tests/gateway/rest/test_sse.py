"""REST: a session's log as server-sent events, replayed and then followed live."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from tests.support.gateways import Gateway, StartGateway, new_event

SSE = {"Accept": "text/event-stream"}
Message = dict[str, Any]


class Stream:
    """The messages of one answer, read by the rules that browsers use."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self._content = response.content

    async def message(self) -> Message | None:
        """Return the next message with data: `event`, `id` (or None), decoded `data`. None at the end of the stream."""
        fields: Message = {"event": "message", "id": None}
        lines: list[str] = []
        while line := await self._content.readline():
            text = line.decode().rstrip("\r\n")
            if text == "":
                if lines:
                    return {**fields, "data": json.loads("\n".join(lines))}
                continue
            name, _, value = text.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                lines.append(value)
            elif name in ("event", "id"):
                fields[name] = value
        return None

    async def until(self, event: str) -> list[Message]:
        """Return the messages up to and including the first of this kind."""
        messages: list[Message] = []
        async with asyncio.timeout(20):
            while not messages or messages[-1]["event"] != event:
                message = await self.message()
                assert message is not None, messages
                messages.append(message)
        return messages

    async def events(self, count: int) -> list[Message]:
        """Return the next events of the session, leaving out other messages between them."""
        found: list[Message] = []
        while len(found) < count:
            found += [message for message in await self.until("event") if message["event"] == "event"]
        for message in found:
            assert message["id"] == str(message["data"]["seq"])
        return [message["data"] for message in found]


@asynccontextmanager
async def follow(gateway: Gateway, session_id: str, query: str = "", **headers: str) -> AsyncIterator[Stream]:
    path = f"/sessions/{session_id}/events{query}"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with gateway.request("GET", path, headers={**SSE, **named}) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        yield Stream(response)


async def append(gateway: Gateway, session_id: str, event_id: str) -> Message:
    stored: Message = await gateway.post(f"/sessions/{session_id}/events", new_event(event_id), status=201)
    return stored


async def test_an_event_stream_replays_the_log_and_then_follows_it(gateway: Gateway) -> None:
    session_id = await gateway.create()
    stored = await gateway.fill(session_id, 130)
    async with follow(gateway, session_id) as stream:
        assert await stream.events(130) == stored
        (caught_up,) = await stream.until("caughtUp")
        assert (caught_up["data"], caught_up["id"]) == ({"seq": 130}, None)
        for n in range(3):
            live = await append(gateway, session_id, f"live-{n}")
            assert await stream.events(1) == [live]


async def test_an_event_stream_of_an_empty_session_begins_with_its_first_event(gateway: Gateway) -> None:
    session_id = await gateway.create()
    async with follow(gateway, session_id) as stream:
        await stream.until("caughtUp")
        first = await append(gateway, session_id, "e1")
        assert await stream.events(1) == [first]


async def test_last_event_id_resumes_and_overrides_after_seq(gateway: Gateway) -> None:
    session_id = await gateway.create()
    stored = await gateway.fill(session_id, 10)
    async with follow(gateway, session_id, "?afterSeq=7") as stream:
        assert await stream.events(3) == stored[7:]
    async with follow(gateway, session_id, "?afterSeq=7", Last_Event_ID="4") as stream:
        assert await stream.events(6) == stored[4:]
    async with follow(gateway, session_id, "?afterSeq=10") as stream:
        await stream.until("caughtUp")
        live = await append(gateway, session_id, "live")
        assert await stream.events(1) == [live]


async def test_an_sse_reader_that_reconnects_again_and_again_misses_nothing(gateway: Gateway) -> None:
    session_id = await gateway.create()

    async def write() -> None:
        for n in range(60):
            await append(gateway, session_id, f"e{n}")

    writing = asyncio.create_task(write())
    seqs: list[int] = []
    while len(seqs) < 60:
        async with follow(gateway, session_id, Last_Event_ID=str(seqs[-1] if seqs else 0)) as stream:
            seqs += [event["seq"] for event in await stream.events(min(7, 60 - len(seqs)))]
    await writing
    assert seqs == list(range(1, 61))


async def test_an_event_stream_reports_every_change_of_status(gateway: Gateway) -> None:
    session_id = await gateway.create()
    async with follow(gateway, session_id) as stream:
        await stream.until("caughtUp")
        await append(gateway, session_id, "e1")
        await gateway.post(f"/sessions/{session_id}/complete", {"reason": "hangup"})
        statuses: list[str] = []
        while "completed" not in statuses:
            statuses.append((await stream.until("session"))[-1]["data"]["status"])
        assert statuses in (["active", "completed"], ["completed"])


@pytest.mark.parametrize("header", ["-1", "x", "1.5", "", str(2**53 + 1), "1,2"])
async def test_a_last_event_id_that_is_not_a_seq_is_refused(gateway: Gateway, header: str) -> None:
    session_id = await gateway.create()
    path = f"/sessions/{session_id}/events"
    envelope = await gateway.refused("GET", path, 400, headers={**SSE, "Last-Event-ID": header})
    assert envelope["code"] == "invalid_message"
    assert "Last-Event-ID" in envelope["message"][0]


async def test_an_event_stream_from_beyond_the_log_is_refused(gateway: Gateway) -> None:
    session_id = await gateway.create()
    await gateway.fill(session_id, 2)
    path = f"/sessions/{session_id}/events"
    envelope = await gateway.refused("GET", f"{path}?afterSeq=3", 400, headers=SSE)
    assert "afterSeq" in envelope["message"][0]
    envelope = await gateway.refused("GET", path, 400, headers={**SSE, "Last-Event-ID": "3"})
    assert "Last-Event-ID" in envelope["message"][0]


async def test_an_event_stream_of_an_unknown_session_is_not_found(gateway: Gateway) -> None:
    await gateway.refused("GET", "/sessions/nobody/events", 404, headers=SSE)


async def test_a_draining_gateway_ends_its_event_streams(start_gateway: StartGateway) -> None:
    gateway = await start_gateway()
    session_id = await gateway.create()
    async with follow(gateway, session_id) as stream:
        await stream.until("caughtUp")
        stopping = asyncio.create_task(gateway.stop())
        async with asyncio.timeout(10):
            assert await stream.message() is None
    await stopping


async def test_a_client_that_has_left_gives_up_its_places_at_once(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_streams=2, max_streams_per_principal=1)
    session_id = await gateway.create()
    for _ in range(3):  # as a page that is loaded again and again
        async with follow(gateway, session_id) as stream:
            await stream.until("caughtUp")
            await gateway.refused("GET", f"/sessions/{session_id}/events", 503, headers=SSE)
            [held] = gateway.followers
            stream.response.close()
            async with asyncio.timeout(10):
                while not held.is_gone:
                    await asyncio.sleep(0.001)
    async with asyncio.timeout(10):
        while gateway.followers:
            held.check_alive(0.0)  # as every second
            await asyncio.sleep(0.001)


async def test_an_event_stream_begins_with_the_session_even_after_its_end(gateway: Gateway) -> None:
    session_id = await gateway.create()
    await gateway.fill(session_id, 2)
    await gateway.post(f"/sessions/{session_id}/complete", {"reason": "hangup"})
    async with follow(gateway, session_id, **{"Last-Event-ID": "2"}) as stream:
        first = await stream.message()
        assert first is not None
        assert (first["event"], first["id"], first["data"]["endReason"]) == ("session", None, "hangup")
        assert (await stream.until("caughtUp"))[-1]["data"] == {"seq": 2}


async def test_line_breaks_inside_a_message_break_none_of_its_lines(gateway: Gateway) -> None:
    breaks = "a\u2028b\u2029c\u0085d"
    session_id = await gateway.create(f"s-{breaks}", metadata={"note": breaks})
    path = f"/sessions/{quote(session_id, safe='')}"
    await gateway.post(f"{path}/events", new_event("e1", {"text": breaks}), status=201)
    async with gateway.request("GET", f"{path}/events", headers=SSE) as response:
        text = ""
        while "event: caughtUp" not in text:
            text += (await response.content.readline()).decode()
        assert all(line.partition(":")[0] in ("retry", "event", "id", "data", "") for line in text.splitlines())
        (session, event) = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    assert session["metadata"]["note"] == event["payload"]["text"] == breaks

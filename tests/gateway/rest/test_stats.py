"""Figures of conversations over REST, and the summaries of the feed."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.support.gateways import Gateway, StartGateway, new_event

Json = Any
TALK = [
    ("bot_speech", {"text": "Hello!", "turn": 0, "startedMs": 0, "endedMs": 1000}),
    ("user_speech", {"text": "Hi there.", "turn": 1, "startedMs": 1500, "endedMs": 2500}),
    ("system", {"event": "tool.failed", "name": "look_up"}),
    ("bot_speech", {"text": "Sorry.", "turn": 1, "startedMs": 3200, "endedMs": 4200, "interrupted": True}),
]


async def say(gateway: Gateway, session_id: str, first: int = 1, rounds: int = 1) -> None:
    spoken = [new_event(f"e{first + n}", payload, type=kind) for n, (kind, payload) in enumerate(TALK * rounds)]
    await gateway.post(f"/sessions/{session_id}/events", {"events": spoken}, status=201)


async def test_stats_return_the_figures_of_a_conversation(gateway: Gateway) -> None:
    session_id = await gateway.create()
    await say(gateway, session_id)
    stats = await gateway.get(f"/sessions/{session_id}/stats")
    assert (stats["sessionId"], stats["lastSeq"], stats["durationMs"]) == (session_id, 4, 4200)
    assert stats["turns"] == {"total": 3, "user": 1, "bot": 2}
    assert stats["responses"]["each"] == [{"seq": 4, "ms": 700}]
    assert stats["interruptions"] == {"byUser": 1, "byBot": 0}
    assert stats["tools"] == {"calls": 1, "failed": 1, "running": 0}
    assert stats["lastLine"]["text"] == "Sorry."


async def test_stats_follow_a_live_call_and_equal_a_fresh_reading(
    gateway: Gateway, start_gateway: StartGateway
) -> None:
    session_id = await gateway.create()
    for first in (1, 201, 401):
        await say(gateway, session_id, first, rounds=40)
        kept = await gateway.get(f"/sessions/{session_id}/stats")
        assert kept["lastSeq"] == 160 * (1 + first // 200)
    await gateway.post(f"/sessions/{session_id}/complete", {})
    elsewhere = await start_gateway()
    assert session_id not in elsewhere.live
    assert await elsewhere.get(f"/sessions/{session_id}/stats") == kept


async def test_stats_of_an_unknown_and_of_an_empty_session(gateway: Gateway) -> None:
    await gateway.refused("GET", "/sessions/none/stats", 404)
    session_id = await gateway.create()
    assert (await gateway.get(f"/sessions/{session_id}/stats"))["lastSeq"] == 0
    async with gateway.request("HEAD", f"/sessions/{session_id}/stats") as response:
        assert response.status == 200


# --- the feed --------------------------------------------------------------------------------------------------------


async def watch(gateway: Gateway, **command: Json) -> aiohttp.ClientWebSocketResponse:
    socket = await gateway.client.ws_connect(f"{gateway.ws_url}/subscribe")
    await socket.send_json({"type": "subscribe", "ref": "f", "feed": "sessions", **command})
    assert (await socket.receive_json())["type"] == "subscribed"
    return socket


async def next_with(socket: aiohttp.ClientWebSocketResponse, through_seq: int) -> Json:
    async with asyncio.timeout(10):
        while True:
            message = await socket.receive_json()
            if message.get("summary", {}).get("throughSeq") == through_seq:
                return message["summary"]


@pytest.mark.parametrize("began", ["before", "after"])
async def test_a_feed_that_asks_for_summaries_gets_them(start_gateway: StartGateway, began: str) -> None:
    gateway = await start_gateway(figures="off")
    session_id = await gateway.create()
    if began == "before":
        await say(gateway, session_id, rounds=30)
    socket = await watch(gateway, summaries=True)
    assert (await socket.receive_json())["summaries"] == {}
    if began == "after":
        await say(gateway, session_id, rounds=30)
    summary = await next_with(socket, 120)
    stats = await gateway.get(f"/sessions/{session_id}/stats")
    assert summary["turns"] == stats["turns"]["total"]
    assert summary["lastLine"] == {"seq": 120, "side": "bot", "text": "Sorry.", "interrupted": True, "durationMs": 1000}
    assert (summary["toolsFailed"], summary["interruptions"]["byUser"]) == (30, 30)
    await say(gateway, session_id, first=200)
    assert (await next_with(socket, 124))["toolsFailed"] == 31
    other = await watch(gateway, summaries=True)
    assert (await other.receive_json())["summaries"][session_id]["throughSeq"] == 124
    await asyncio.gather(socket.close(), other.close())


async def test_a_feed_without_summaries_reads_no_log(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(figures="off")
    session_id = await gateway.create()
    socket = await watch(gateway)
    assert "summaries" not in await socket.receive_json()
    await say(gateway, session_id)
    message = await socket.receive_json()
    assert message["session"]["lastSeq"] == 4
    assert "summary" not in message
    assert gateway.live[session_id].state.conversation is None
    await socket.close()


async def test_summaries_are_dropped_when_the_last_feed_has_gone(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(figures="off")
    session_id = await gateway.create()
    socket = await watch(gateway, summaries=True)
    await say(gateway, session_id)
    await next_with(socket, 4)
    await socket.send_json({"type": "unsubscribe", "ref": "f"})
    while (await socket.receive_json())["type"] != "unsubscribed":
        pass
    assert gateway.parts.feed.summaries.listeners == 0
    await say(gateway, session_id, first=100)
    conversation = gateway.live[session_id].state.conversation
    assert conversation is not None
    assert conversation.last_seq == 4
    assert (await gateway.get(f"/sessions/{session_id}/stats"))["lastSeq"] == 8
    await socket.close()


async def test_sums_over_the_first_days_of_the_year_1_are_empty(gateway: Gateway) -> None:
    sums = await gateway.get("/stats?startedBefore=0001-01-05T00:00:00Z")
    assert sums["groups"] == []

"""Figures on the session: during the call, with its end, and after a restart."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.gateways import Gateway, StartGateway, new_event
from turnwire.gateway.live import conversing

Json = Any
TALK = [
    ("user_speech", {"text": "Hi there.", "turn": 1, "startedMs": 1500, "endedMs": 2500}),
    ("system", {"event": "tool.failed", "name": "look_up"}),
    ("bot_speech", {"text": "Sorry.", "turn": 1, "startedMs": 3200, "endedMs": 4200, "interrupted": True}),
]
FIGURES = {
    "turns": 2,
    "responseP50Ms": 700,
    "responseP95Ms": 700,
    "missed": 0,
    "interruptions": {"byUser": 1, "byBot": 0},
    "toolsFailed": 1,
    "errors": 0,
    "durationMs": 4200,
    "talkMs": 2000,
    "lastLine": {"seq": 3, "side": "bot", "text": "Sorry.", "interrupted": True, "durationMs": 1000},
}


async def say(gateway: Gateway, session_id: str, first: int = 1) -> None:
    events = [new_event(f"e{first + n}", payload, type=kind) for n, (kind, payload) in enumerate(TALK)]
    await gateway.post(f"/sessions/{session_id}/events", {"events": events}, status=201)


async def figures_of(gateway: Gateway, session_id: str) -> Json:
    return (await gateway.get(f"/sessions/{session_id}"))["figures"]


async def when_there(gateway: Gateway, session_id: str, **expected: Json) -> Json:
    """Wait until the figures have these values."""
    async with asyncio.timeout(10):
        while True:
            figures = await figures_of(gateway, session_id)
            if figures is not None and figures | expected == figures:
                return figures
            await asyncio.sleep(0.02)


async def test_a_live_session_has_figures_of_its_events_so_far(gateway: Gateway) -> None:
    session_id = await gateway.create()
    assert await figures_of(gateway, session_id) is None
    await say(gateway, session_id)
    assert await figures_of(gateway, session_id) == {**FIGURES, "talkMs": None}
    (listed,) = (await gateway.get("/sessions"))["sessions"]
    assert listed["figures"]["turns"] == 2


async def test_figures_are_stored_with_the_end_and_survive_a_restart(
    gateway: Gateway, start_gateway: StartGateway
) -> None:
    session_id = await gateway.create()
    await say(gateway, session_id)
    ended = await gateway.post(f"/sessions/{session_id}/complete", {})
    assert ended["figures"] == FIGURES
    stored = await gateway.store.sessions.load(session_id)
    assert stored is not None
    assert stored.figures is not None
    await gateway.stop()
    elsewhere = await start_gateway()
    assert await figures_of(elsewhere, session_id) == FIGURES
    assert (await elsewhere.get("/sessions"))["sessions"][0]["figures"] == FIGURES


async def test_events_in_the_grace_time_count_in_the_figures(gateway: Gateway, start_gateway: StartGateway) -> None:
    session_id = await gateway.create()
    await gateway.post(f"/sessions/{session_id}/complete", {})
    assert (await figures_of(gateway, session_id))["turns"] == 0
    await say(gateway, session_id)
    assert await figures_of(gateway, session_id) == FIGURES
    await gateway.stop()
    assert await figures_of(await start_gateway(), session_id) == FIGURES


async def test_with_figures_off_sessions_have_none(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(figures="off")
    session_id = await gateway.create()
    await say(gateway, session_id)
    ended = await gateway.post(f"/sessions/{session_id}/complete", {})
    assert ended["figures"] is None
    assert await figures_of(gateway, session_id) is None


async def test_the_figures_of_a_session_opened_in_its_middle_read_its_log_once(
    gateway: Gateway, start_gateway: StartGateway
) -> None:
    session_id = await gateway.create()
    await say(gateway, session_id)
    await gateway.stop()
    later = await start_gateway()
    assert await figures_of(later, session_id) is None
    await say(later, session_id, first=10)
    await when_there(later, session_id, toolsFailed=2)
    ended = await later.post(f"/sessions/{session_id}/complete", {})
    assert ended["figures"]["toolsFailed"] == 2


@pytest.mark.parametrize("at_end", [0, 500])
async def test_an_end_waits_for_the_figures_of_a_short_log_and_not_of_a_long_one(
    gateway: Gateway, start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch, at_end: int
) -> None:
    monkeypatch.setattr(conversing, "_READ_AT_END", at_end)
    session_id = await gateway.create()
    await say(gateway, session_id)
    await gateway.stop()
    later = await start_gateway(flush_interval=0.05)
    ended = await later.post(f"/sessions/{session_id}/complete", {})
    assert ended["figures"] == (FIGURES if at_end else None)
    assert await when_there(later, session_id) == FIGURES
    async with asyncio.timeout(10):
        while (await later.store.sessions.load(session_id)).figures is None:  # type: ignore[union-attr]
            await asyncio.sleep(0.02)


async def test_figures_of_a_long_call_are_computed_off_the_event_loop(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversing, "LONG", 1)
    session_id = await gateway.create()
    await say(gateway, session_id)
    ended = await gateway.post(f"/sessions/{session_id}/complete", {})
    assert ended["figures"] == FIGURES
    await say(gateway, session_id, first=10)
    assert (await when_there(gateway, session_id, toolsFailed=2))["turns"] == 2
    assert (await gateway.get(f"/sessions/{session_id}/stats"))["tools"]["failed"] == 2

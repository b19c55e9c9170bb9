"""Figures that are read from the log with low priority."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.gateways import Gateway, StartGateway, new_event
from turnwire.gateway.live import conversing


async def test_a_session_evicted_before_its_log_was_read_still_gets_its_figures(
    gateway: Gateway, start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversing, "_READ_AT_END", 0)
    session_id = await gateway.create()
    await gateway.post(f"/sessions/{session_id}/events", new_event("e", {"text": "hello"}), status=201)
    await gateway.stop()
    later = await start_gateway(flush_interval=0.05)
    await later.post(f"/sessions/{session_id}/complete", {})
    state = later.live.pop(session_id).state
    later.parts.figures.read(state)
    async with asyncio.timeout(10):
        while True:
            stored = await later.store.sessions.load(session_id)
            if stored is not None and stored.figures is not None:
                break
            await asyncio.sleep(0.02)
    assert stored.figures.turns == 1

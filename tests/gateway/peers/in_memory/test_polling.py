"""Polling finds what other gateways have stored, with a busy database too."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from tests.support.faults.line import Line
from tests.support.in_memory import Crowd, MemoryGateway, event, until


async def test_a_slow_database_is_left_alone_between_polls_but_not_for_longer_than_an_interval(
    here: MemoryGateway, there: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    there.start()
    live = await here.create()
    watched = await there.open()
    crowd = watched.state.audience = Crowd()
    peers = there.parts.peers
    assert peers is not None
    peers.watch_changed(watched.state)

    async def slowly(_line: Line, longest: float = 0.0) -> None:
        await asyncio.sleep(1.0)

    monkeypatch.setattr(there.line, "pause", slowly.__get__(there.line))

    def shown(number: int) -> bool:
        return len(crowd.events) > number

    round_seconds = 3 * 2.0  # it reads erasures, positions and documents
    for number in range(6):
        began = asyncio.get_running_loop().time()
        await here.append(live, event(f"e{number}"))
        await until(partial(shown, number))
        assert asyncio.get_running_loop().time() - began < round_seconds + 3

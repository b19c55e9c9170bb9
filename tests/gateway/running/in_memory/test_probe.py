"""How often the storage is asked whether it can be used."""

from __future__ import annotations

import asyncio

import pytest

from turnwire.store.condition import AWAY, StorageState
from turnwire.store.probe import StorageProbe


@pytest.mark.parametrize(("up", "asked"), [(True, 2), (False, 20)])
async def test_a_storage_that_cannot_be_used_is_asked_again_soon(up: bool, asked: int) -> None:
    times = list[float]()

    async def ask() -> StorageState:
        times.append(asyncio.get_running_loop().time())
        return StorageState(up, None if up else AWAY)

    probe = StorageProbe(ask)
    for _ in range(200):  # two seconds
        await probe.state()
        await asyncio.sleep(0.01)
    assert asked - 2 <= len(times) <= asked

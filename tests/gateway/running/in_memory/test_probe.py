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


async def test_a_recent_answer_is_given_without_waiting_for_a_busy_storage() -> None:
    silent, asked = asyncio.Event(), list[float]()

    async def ask() -> StorageState:
        asked.append(asyncio.get_running_loop().time())
        if len(asked) > 1:
            await silent.wait()
        return StorageState(True)

    probe = StorageProbe(ask)
    assert (await probe.state()).up
    for _ in range(20):  # two seconds
        before = asyncio.get_running_loop().time()
        assert (await probe.recent_state(0.2)).up
        assert asyncio.get_running_loop().time() == before
        await asyncio.sleep(0.1)
    assert len(asked) == 2, "it is asked for the next answer all the same"
    await probe.close()


async def test_without_a_recent_answer_the_storage_is_waited_for() -> None:
    async def ask() -> StorageState:
        await asyncio.sleep(0.1)
        return StorageState(True)

    probe = StorageProbe(ask)
    assert (await probe.recent_state(0.2)).up
    await asyncio.sleep(10)
    before = asyncio.get_running_loop().time()
    assert (await probe.recent_state(0.2)).up
    assert asyncio.get_running_loop().time() > before

"""Work that can wait gets little of the event loop, however much of it there is."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.passes import Passes
from turnwire.gateway.turns import SLICE_SECONDS, Share, Slices, Turns
from turnwire.store.sharing.places import Places


async def work(passes: Passes, turns: Turns, count: int, seconds: float) -> None:
    for _ in range(count):
        passes.done(seconds)
        await turns.next(seconds)


async def test_of_much_work_one_slice_is_done_in_each_pass() -> None:
    passes = Passes()
    turns = Turns(passes.clock)
    with passes:
        await asyncio.gather(*(work(passes, turns, 5, SLICE_SECONDS) for _ in range(20)))
    del passes.work[min(passes.work)]  # all begin in the same pass
    assert passes.most == 1
    assert passes.work.total() == 20 * 4


async def test_short_turns_share_a_pass_of_the_loop() -> None:
    passes = Passes()
    turns = Turns(passes.clock)
    with passes:
        await asyncio.gather(*(work(passes, turns, 4, SLICE_SECONDS / 5) for _ in range(20)))
    del passes.work[min(passes.work)]
    assert 4 <= passes.most <= 6


async def test_pauses_that_end_together_are_followed_by_one_slice_in_each_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def no_rest(_share: Share, _spent: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(Share, "pause", no_rest)
    passes = Passes()
    turns = Turns(passes.clock)

    async def slow_work() -> None:
        slices = Slices(turns)
        for _ in range(4):
            passes.done(SLICE_SECONDS * 1.1)
            await slices.pause()

    with passes:
        await asyncio.gather(*(slow_work() for _ in range(20)))
    del passes.work[min(passes.work)]  # all begin in the same pass
    assert passes.most == 1
    assert passes.work.total() == 20 * 3


async def test_steps_of_many_connections_at_the_same_moment_are_spread_over_passes() -> None:
    passes = Passes()
    turns = Turns(passes.clock)
    step = SLICE_SECONDS / 10

    async def take_a_step() -> None:
        if (turn := turns.enter(step)) is not None:
            await turn
        passes.done(step)

    with passes:
        await asyncio.gather(*(take_a_step() for _ in range(200)))
        await take_a_step()
    assert passes.most <= 12
    assert passes.work.total() == 201


async def test_steps_of_connections_wait_for_one_slice_of_slow_work_at_most() -> None:
    turns, order = Turns(), list[str]()

    async def take(name: str, spent: float, client: str) -> None:
        await turns.next(spent, client)
        order.append(name)

    slow = [take("slow", SLICE_SECONDS, "slow work") for _ in range(10)]
    steps = [take("step", SLICE_SECONDS / 100, "connections") for _ in range(10)]
    await asyncio.gather(*slow, *steps)
    assert order.index("step") <= 1
    assert order[:11].count("step") == 10


async def test_every_client_gets_a_turn_before_any_client_gets_a_second() -> None:
    turns, order = Turns(), list[int]()

    async def take(number: int) -> None:
        for _ in range(3):
            await turns.next(SLICE_SECONDS)
            order.append(number)

    await asyncio.gather(*(take(number) for number in range(4)))
    assert order == [0, 1, 2, 3] * 3


async def test_a_client_that_is_gone_keeps_no_other_waiting() -> None:
    turns = Turns()
    gone, waits = (asyncio.create_task(turns.next(SLICE_SECONDS)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait_for(waits, 5)
    await asyncio.wait_for(turns.next(), 5)


@pytest.mark.parametrize(("seconds", "least", "most"), [(SLICE_SECONDS / 40, 30, 50), (SLICE_SECONDS / 2, 2, 8)])
async def test_requests_at_the_same_moment_begin_in_a_pass_until_its_slice_is_over(
    seconds: float, least: int, most: int
) -> None:
    passes = Passes()
    turns = Turns(passes.clock)

    async def request() -> None:
        if (turn := turns.begin(hash, 1)) is not None:
            await turn
        passes.done(seconds)

    with passes:
        await asyncio.gather(*(request() for _ in range(200)))
    assert passes.work.total() == 200
    assert least <= passes.most <= most


@pytest.mark.parametrize(("size", "most"), [(1_000, 50), (20_000, 3), (1_000_000, 1)])
async def test_large_json_is_decoded_in_turns_by_its_size(size: int, most: int) -> None:
    passes = Passes()
    turns = Turns(passes.clock)

    async def request() -> None:
        await turns.decode(size)
        passes.done()

    with passes:
        await asyncio.gather(*(request() for _ in range(50)))
    assert passes.most == most


@pytest.mark.parametrize("other", ["another", "same"])
async def test_a_short_piece_does_not_wait_for_many_long_ones(other: str) -> None:
    order: list[float] = []
    turns = Turns()

    async def take(seconds: float, client: str) -> None:
        await turns.next(seconds, client)
        order.append(seconds)

    await asyncio.gather(*(take(0.03, "same") for _ in range(100)), take(SLICE_SECONDS / 4, other))
    assert order[0] == SLICE_SECONDS / 4


async def test_the_request_of_a_client_does_not_wait_for_a_thousand_of_another() -> None:
    passes = Passes()
    turns, order = Turns(passes.clock), list[str]()

    async def request(client: str) -> None:
        if (turn := turns.begin(str, client)) is not None:
            await turn
        passes.done(SLICE_SECONDS / 2)
        order.append(client)

    await asyncio.gather(*(request(client) for client in ["many"] * 1000 + ["one"]))
    assert order.index("one") < 10


async def test_places_go_to_the_clients_in_turn_and_a_client_that_leaves_keeps_none() -> None:
    places, order = Places(2), list[str]()

    async def work(client: str) -> None:
        async with places.hold(client):
            order.append(client)
            await asyncio.sleep(0)

    gone = [asyncio.create_task(work("gone")) for _ in range(3)]  # the third waits
    tasks = [asyncio.create_task(work(client)) for client in ["many"] * 6 + ["one"] * 2]
    await asyncio.sleep(0)
    gone[2].cancel()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert order == ["gone", "gone", "many", "one", "many", "one", "many", "many", "many", "many"]


async def test_a_place_offered_to_a_client_that_has_just_left_goes_to_the_next() -> None:
    places = Places(1)
    async with places.hold():
        last = asyncio.create_task(places.hold().__aenter__())
        await asyncio.sleep(0)
    last.cancel()
    with pytest.raises(asyncio.CancelledError):
        await last
    async with asyncio.timeout(5), places.hold():
        pass


async def test_a_slice_of_slow_work_ends_after_its_time() -> None:
    passes = Passes()
    slices = Slices(Turns(passes.clock))
    with passes:
        for _ in range(100):
            passes.done(SLICE_SECONDS / 8)
            await slices.pause()
    assert 8 <= passes.most <= 10


async def test_a_look_at_all_there_is_takes_a_fifth_of_the_time_in_short_slices(pauses: list[float]) -> None:
    passes = Passes()
    slices = Turns(passes.clock).look_over()
    paused = []
    for _ in range(12):
        passes.done(SLICE_SECONDS / 10)
        paused.append(await slices.pause())
    assert paused == [False, False, True] * 4
    assert pauses[0] == pytest.approx(4 * 3 * SLICE_SECONDS / 10)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of all pauses, which are not made."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(round(seconds, 6))

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return made


async def test_all_work_of_a_kind_gets_its_share_together_one_after_the_other(pauses: list[float]) -> None:
    passes = Passes()
    share = Share(passes.clock, 4.0)
    for _ in range(3):
        await share.pause(0.001)
    passes.now += 1.0
    await share.pause(0.002)
    assert pauses == [0.004, 0.008, 0.012, 0.008]

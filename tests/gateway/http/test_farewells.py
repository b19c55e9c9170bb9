"""When an audience leaves in one moment, a few connections are closed in each pass of the event loop."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from functools import partial

from tests.support.gateways import Gateway
from tests.support.passes import Passes
from tests.support.sockets import CLOSE, SECONDS, RawSocket, client_frame, until
from turnwire.gateway.connections.turn import GOODBYE_SECONDS
from turnwire.gateway.http.farewells import AT_ONCE, Farewells
from turnwire.gateway.turns import SLICE_SECONDS


async def test_a_single_lost_connection_is_closed_at_once() -> None:
    passes = Passes()
    Farewells().say(passes.done)
    assert passes.work.total() == 1


async def test_many_lost_connections_are_closed_a_few_in_each_pass_in_order() -> None:
    passes, farewells, order = Passes(), Farewells(), list[int]()

    def let_go(number: int) -> None:
        passes.done()
        order.append(number)

    count = 10 * AT_ONCE + 3
    with passes:
        for number in range(count):
            farewells.say(partial(let_go, number))
            if number == 5 * AT_ONCE:
                await asyncio.sleep(0)
        await until(lambda: len(order) == count, "the last farewell")
    assert order == list(range(count))
    assert passes.most == AT_ONCE


async def test_a_lost_connection_that_fails_to_close_does_not_hold_back_the_others() -> None:
    passes, farewells, errors = Passes(), Farewells(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))

    def fail() -> None:
        raise ValueError

    for number in range(3 * AT_ONCE):
        farewells.say(fail if number == 2 * AT_ONCE else passes.done)
    await until(lambda: passes.work.total() == 3 * AT_ONCE - 1, "the other farewells")
    assert [type(error) for error in errors] == [ValueError]


async def audience(gateway: Gateway, count: int) -> list[RawSocket]:
    """Connect this many subscribers, all of which the gateway serves."""
    watching = [await RawSocket.connect(gateway, "/subscribe") for _ in range(count)]
    for each in watching:
        await each.send({"type": "ping", "ref": 1})
        await each.receive()
    return watching


async def most_in_a_pass(count: Callable[[], int]) -> int:
    """Wait until the count is 0. Return the most by which it fell in one pass of the loop."""
    most, before = 0, count()
    async with asyncio.timeout(SECONDS):
        while before:
            await asyncio.sleep(0)
            most, before = max(most, before - count()), count()
    return most


async def test_an_audience_that_vanishes_in_one_moment_is_let_go_of_in_slices(gateway: Gateway) -> None:
    watching = await audience(gateway, 4 * AT_ONCE)
    for each in watching:
        each.close()
    assert await most_in_a_pass(lambda: len(gateway.gateway.arrivals)) <= AT_ONCE
    await until(lambda: not gateway.connections, "the end of all handlers")


async def test_an_audience_that_says_goodbye_in_one_moment_is_answered_in_slices(gateway: Gateway) -> None:
    watching = await audience(gateway, 8 * AT_ONCE)
    for each in watching:
        each.write_at_once(client_frame(struct.pack("!H", 1000), CLOSE))
    unanswered = lambda: sum(connection.closing is None for connection in gateway.connections)  # noqa: E731 -- short
    assert await most_in_a_pass(unanswered) <= round(SLICE_SECONDS / GOODBYE_SECONDS)
    assert {await each.close_code() for each in watching} == {1000}
    for each in watching:
        each.close()

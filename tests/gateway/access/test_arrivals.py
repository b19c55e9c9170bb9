"""Connections are counted from the moment they are accepted: idle ones, and those without a credential, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.access.wired import start_guarded
from tests.support.gateways import Gateway, StartGateway, new_id
from tests.support.sockets import publisher, subscriber, until
from turnwire.gateway.access.arrivals import Arrivals
from turnwire.gateway.access.principals import ANONYMOUS, Principal
from turnwire.gateway.access.rates import Rates
from turnwire.gateway.access.refusals import Refusal
from turnwire.gateway.config import Config
from turnwire.protocol.errors import Overloaded

SOMEBODY = Principal(id="key:a", scopes=frozenset())


class From(asyncio.BaseTransport):
    """The transport of a connection from this address."""

    def __init__(self, address: str) -> None:
        super().__init__({"peername": (address, 1)})


def arrivals(*, required: bool = True, **settings: Any) -> Arrivals:
    config = Config(**settings)
    return Arrivals(config, Rates(config, lambda: 0.0, on=required), required=required)


def come(here: Arrivals, count: int, address: str = "192.0.2.1") -> Sequence[asyncio.Protocol]:
    protocols = [asyncio.Protocol() for _ in range(count)]
    for protocol in protocols:
        here.came(protocol, From(address))
    return protocols


def test_without_authentication_all_places_are_for_everybody() -> None:
    here = arrivals(required=False, max_connections=20)
    first = come(here, 20)
    for protocol in first:
        here.admit(protocol, ANONYMOUS)
    (late,) = come(here, 1)
    with pytest.raises(Overloaded, match="20 connections"):
        here.admit(late, ANONYMOUS)
    here.admit(first[0], ANONYMOUS)  # it keeps its place
    here.left(first[1])
    here.admit(late, ANONYMOUS)


def test_without_a_limit_of_connections_everybody_has_a_place() -> None:
    here = arrivals(max_connections=0, max_handshakes_per_address=0)
    assert all(here.has_place(each) for each in come(here, 500))


def test_strangers_never_take_the_last_tenth() -> None:
    here = arrivals(max_connections=20)
    idle = come(here, 30)
    assert [here.has_place(each) for each in idle] == [True] * 18 + [False] * 12
    with pytest.raises(Overloaded):
        here.admit(idle[-1], ANONYMOUS)
    late = come(here, 3)
    here.admit(late[0], SOMEBODY)
    here.admit(late[1], SOMEBODY)
    with pytest.raises(Overloaded):
        here.admit(late[2], SOMEBODY)
    here.left(idle[0])
    here.admit(late[2], SOMEBODY)


def test_a_credential_makes_room_for_another_stranger() -> None:
    here = arrivals(max_connections=20)
    strangers = come(here, 18)
    here.admit(strangers[0], SOMEBODY)
    here.admit(strangers[0], SOMEBODY)
    (next_one, last) = come(here, 2)
    assert (here.has_place(next_one), here.has_place(last)) == (True, False)


def test_an_address_has_a_limited_number_of_connections_without_a_credential() -> None:
    here = arrivals(max_handshakes_per_address=2)
    first, second, third = come(here, 3)
    (elsewhere,) = come(here, 1, "192.0.2.9")
    for protocol in (first, second, elsewhere):
        here.check_stranger(protocol)
    with pytest.raises(Refusal) as refused:
        here.check_stranger(third)
    assert (refused.value.status, refused.value.reason) == (429, "rate_open_handshakes")
    with pytest.raises(Refusal):
        here.admit(third, ANONYMOUS)
    here.admit(third, SOMEBODY)
    here.check_stranger(third)
    here.admit(first, SOMEBODY)  # counts no more
    here.left(second)
    assert [here.has_place(each) for each in come(here, 3)] == [True, True, False]


def test_connections_of_a_trusted_proxy_do_not_count_as_those_of_one_client() -> None:
    here = arrivals(max_handshakes_per_address=1, trusted_proxies="192.0.2.0/24")
    assert all(map(here.has_place, come(here, 5)))


def test_a_connection_that_is_gone_leaves_nothing_behind() -> None:
    here = arrivals(max_handshakes_per_address=3, max_connections=3)
    for _ in range(3):
        for protocol in come(here, 4):
            here.left(protocol)
            here.left(protocol)
    assert len(here) == 0
    (late,) = come(here, 1)
    assert here.has_place(late)


@asynccontextmanager
async def idle_connections(gateway: Gateway, count: int) -> AsyncIterator[None]:
    """Keep this many connections that send nothing, besides those of the gateway's own client."""
    before = len(gateway.gateway.arrivals)
    async with AsyncExitStack() as stack:
        for _ in range(count):
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            stack.callback(writer.close)
        await until(lambda: len(gateway.gateway.arrivals) == before + count, "the connections")
        yield
    await until(lambda: len(gateway.gateway.arrivals) <= before, "the end of the connections")


async def test_idle_connections_count_and_probes_are_answered_beyond_the_limit(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_connections=3)
    async with idle_connections(gateway, 3):
        assert (await gateway.refused("GET", "/sessions", 503))["code"] == "overloaded"
        async with gateway.request("GET", "/health/ready") as answer:
            assert (answer.status, answer.headers["Connection"]) == (200, "close")
    await gateway.get("/sessions")
    await (await subscriber(gateway)).close()


async def test_idle_connections_of_strangers_keep_nobody_with_a_credential_out(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    gateway = await start_guarded(start_gateway, tmp_path, max_handshakes_per_address=2)
    async with idle_connections(gateway, 2):
        nobody = {"headers": {"Authorization": ""}}
        assert (await gateway.refused("GET", "/sessions", 429, **nobody))["code"] == "rate_limited"
        await gateway.get("/sessions")
        await (await publisher(gateway, new_id("s"))).close()

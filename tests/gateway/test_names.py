"""Lookups of names: a name server that does not answer for some names holds up neither the others nor the exit."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from turnwire.gateway import names
from turnwire.gateway.access.credentials.fetching import fetch
from turnwire.gateway.names import Names
from turnwire.gateway.turns import Turns
from turnwire.gateway.webhooks.courier import Courier
from turnwire.gateway.webhooks.messages import Message
from turnwire.gateway.webhooks.sending import NotTaken


class NameServer:
    """Takes the place of the machine's lookups. Names that begin with `silent` get no answer until `answers` is set."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers = threading.Event()
        self.addresses: dict[str, tuple[Any, ...]] = {}

    def look_up(self, host: str, port: int, *_: object, **__: object) -> list[Any]:
        self.asked.append(host)
        if host.startswith("silent"):
            self.answers.wait()
        address = self.addresses.get(host, ("192.0.2.1",))
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address[0], port, *address[1:]))]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    made = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", made.look_up)
    yield made
    made.answers.set()


async def hosts(looked_up: Names, name: str) -> list[str]:
    return [each["host"] for each in await looked_up.look_up(name, 443, socket.AF_UNSPEC)]


async def begun(server: NameServer, count: int) -> None:
    while len(server.asked) < count:
        await asyncio.sleep(0)


async def test_names_that_nobody_answers_for_hold_up_no_other_name(server: NameServer) -> None:
    looked_up = Names()
    waiting = [asyncio.create_task(hosts(looked_up, f"silent{number}.example")) for number in range(20)]
    await begun(server, 20)
    assert await hosts(looked_up, "good.example") == ["192.0.2.1"]
    assert all(each.daemon for each in threading.enumerate() if each.name.startswith("look up silent"))
    waiting[0].cancel()
    server.answers.set()
    assert await asyncio.gather(*waiting[1:]) == [["192.0.2.1"]] * 19


async def test_there_is_a_bound_on_lookups_at_once(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_MOST", 2)
    looked_up = Names()
    waiting = [asyncio.create_task(hosts(looked_up, name)) for name in ("silent1", "silent2", "good.example")]
    await begun(server, 2)
    assert "good.example" not in server.asked
    server.answers.set()
    assert len(await asyncio.gather(*waiting)) == 3


async def test_the_zone_of_a_link_local_address_is_kept(server: NameServer) -> None:
    server.addresses = {"near": ("fe80::1", 0, 7), "far": ("2001:db8::1", 0, 0)}
    assert [await hosts(Names(), name) for name in ("near", "far")] == [["fe80::1%7"], ["2001:db8::1"]]


async def test_a_name_that_does_not_exist_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(OSError, match="Name or service not known"):
        await hosts(Names(), "none.example")
    with pytest.raises(OSError, match="Name or service not known"):
        await fetch("https://none.example/keys")


async def test_webhooks_and_key_sets_find_their_hosts_in_this_way(server: NameServer) -> None:
    courier = Courier(Turns(), timeout=5, allow_private=False)
    silent = asyncio.create_task(courier.send("https://silent.example/", Message("m", b"{}"), []))
    fetching = asyncio.create_task(fetch("https://silent.example/keys"))
    await begun(server, 2)
    server.addresses["inner.example"] = ("10.0.0.1",)
    with pytest.raises(NotTaken, match=r"10\.0\.0\.1 is not a public address"):
        await courier.send("https://inner.example/", Message("m", b"{}"), [])
    for task in (silent, fetching):
        task.cancel()
    await courier.close()

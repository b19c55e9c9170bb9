"""Which Host headers a gateway answers to, and pages of which origins it admits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.doors import HOST, OWN, ask, refused, start, with_key
from turnwire.gateway.access.access import Access
from turnwire.gateway.access.principals import ANONYMOUS


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:9999", "localhost", "LOCALHOST:3000", "localhost.", "[::1]:3000", "127.7.7.7"]
)
async def test_a_loopback_bind_answers_to_loopback_names(unguarded: Access, host: str) -> None:
    assert await unguarded.door.admit(ask(hosts=[host])) is ANONYMOUS


@pytest.mark.parametrize(
    "host", ["rebind.example", "127.0.0.1.rebind.example", "localhost.rebind.example:3000", "10.0.0.7"]
)
async def test_a_foreign_host_header_gets_421(unguarded: Access, host: str) -> None:
    told = await refused(unguarded, ask(hosts=[host]))
    assert (told.status, told.reason) == (421, "host")


@pytest.mark.parametrize(
    "hosts", [[], [HOST, HOST], [""], ["a b"], ["user@127.0.0.1"], ["127.0.0.1:x"], ["127.0.0.1/"]]
)
async def test_a_malformed_host_header_is_refused(unguarded: Access, hosts: list[str]) -> None:
    assert (await refused(unguarded, ask(hosts=hosts))).status == 400


async def test_a_public_bind_answers_only_to_its_names(tmp_path: Path) -> None:
    access = await start(tmp_path, host="0.0.0.0", allowed_hosts="gw.example.com,10.0.0.7:3000")
    for host in ("gw.example.com", "gw.example.com:443", "GW.example.com", "10.0.0.7:3000"):
        await access.door.admit(with_key(hosts=[host]))
    for host in ("localhost", "127.0.0.1", "10.0.0.7", "10.0.0.7:3001", "0.0.0.0", "x.gw.example.com"):
        assert (await refused(access, with_key(hosts=[host]))).status == 421


async def test_allowed_hosts_star_answers_to_any_host(tmp_path: Path) -> None:
    access = await start(tmp_path, host="0.0.0.0", allowed_hosts="*")
    await access.door.admit(with_key(hosts=["whatever.example"]))


# Origin


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH"])
@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "", "http://127.0.0.1:4000", "file://", "http://127.0.0.1:3000.evil.example"],
)
async def test_requests_from_other_origins_can_change_nothing(unguarded: Access, method: str, origin: str) -> None:
    told = await refused(unguarded, ask(method=method, origins=[origin]))
    assert (told.status, told.reason) == (403, "origin")


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_pages_of_other_origins_can_open_no_websocket(unguarded: Access, origin: str) -> None:
    for path in ("/subscribe", "/sessions/s/publish"):
        assert (await refused(unguarded, ask(path, origins=[origin], is_upgrade=True))).status == 403


async def test_cross_site_requests_without_an_origin_can_change_nothing(unguarded: Access) -> None:
    told = await refused(unguarded, ask(method="POST", fetch_site="cross-site"))
    assert (told.status, told.reason) == (403, "cross_site")
    for site in ("same-origin", "none", None):
        await unguarded.door.admit(ask(method="POST", fetch_site=site))


async def test_the_gateways_own_origin_and_the_allowed_ones_are_accepted(tmp_path: Path) -> None:
    access = await start(tmp_path, allowed_origins="https://dash.example.com")
    for origin in (OWN, "https://dash.example.com"):
        asked = with_key(method="POST", origins=[origin], fetch_site="cross-site")
        assert access.door.allows_origin(asked)
        await access.door.admit(asked)
    for origin in ("https://dash.example.com:8443", "http://dash.example.com", "https://x.dash.example.com"):
        assert (await refused(access, with_key(method="POST", origins=[origin]))).status == 403


async def test_the_gateways_own_origin_is_recognized_without_its_default_port(tmp_path: Path) -> None:
    access = await start(tmp_path, allowed_hosts="gw.example.com")
    for host, origin in (
        ("gw.example.com", "https://gw.example.com"),
        ("gw.example.com:443", "https://gw.example.com"),
        ("gw.example.com:80", "http://gw.example.com"),
        ("GW.example.com", "https://gw.example.com"),
    ):
        await access.door.admit(with_key(method="POST", hosts=[host], origins=[origin]))


async def test_a_request_with_two_origins_is_refused(unguarded: Access) -> None:
    assert (await refused(unguarded, ask(method="POST", origins=[OWN, OWN]))).status == 403


async def test_cross_origin_reads_are_answered_and_left_to_the_browsers_cors_check(unguarded: Access) -> None:
    asked = ask(origins=["https://evil.example"])
    assert await unguarded.door.admit(asked) is ANONYMOUS
    assert not unguarded.door.allows_origin(asked)

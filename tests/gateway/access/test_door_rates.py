"""Rates at the door: how many requests, handshakes and refused credentials are allowed."""

from __future__ import annotations

from pathlib import Path

from tests.support.credentials import token
from tests.support.doors import ask, refused, start, with_key
from turnwire.gateway.access.access import Access
from turnwire.gateway.access.principals import ANONYMOUS
from turnwire.protocol.rights import new_key


async def test_the_request_rate_limits_one_principal_and_no_other(guarded: Access) -> None:
    for _ in range(1000):
        await guarded.door.admit(with_key())
    told = await refused(guarded, with_key())
    assert (told.status, told.reason) == (429, "rate_requests")
    assert "RateLimit" in told.headers
    await guarded.door.admit(ask(authorizations=[f"Bearer {token()}"]))


async def test_after_ten_refused_credentials_an_address_must_wait_but_a_known_credential_passes(
    guarded: Access,
) -> None:
    guesses = [await refused(guarded, ask(authorizations=[f"Bearer {new_key('bot')}"])) for _ in range(12)]
    assert [guess.status for guess in guesses] == [401] * 10 + [429] * 2
    assert (guesses[-1].retry_after or 0) >= 6
    await guarded.door.admit(with_key())
    assert (await refused(guarded, ask(authorizations=["Bearer x"], peer="192.0.2.2"))).status == 401


async def test_no_signatures_are_verified_for_an_address_that_guesses_credentials(guarded: Access) -> None:
    known = token(sub="known")
    await guarded.door.admit(ask(authorizations=[f"Bearer {known}"]))
    for _ in range(10):
        await refused(guarded, ask(authorizations=[f"Bearer {token(key=b'x' * 32)}"]))
    for unknown in (token(key=b"x" * 32), token(sub="unknown")):
        assert (await refused(guarded, ask(authorizations=[f"Bearer {unknown}"]))).status == 429
    await guarded.door.admit(ask(authorizations=[f"Bearer {known}"]))
    await guarded.door.admit(ask(authorizations=[f"Bearer {token(sub='unknown')}"], peer="192.0.2.2"))


async def test_a_request_that_asks_for_an_upgrade_in_vain_is_counted_as_well(guarded: Access) -> None:
    for _ in range(1000):
        await guarded.door.admit(with_key(is_upgrade=True))
    assert (await refused(guarded, with_key(is_upgrade=True))).reason == "rate_requests"


async def test_requests_without_a_credential_are_limited_by_address(guarded: Access) -> None:
    told = [await refused(guarded, ask()) for _ in range(21)]
    assert [each.status for each in told] == [401] * 20 + [429]
    assert (await refused(guarded, ask(peer="192.0.2.2"))).status == 401


async def test_handshakes_without_a_credential_are_limited_by_address(guarded: Access) -> None:
    told = [await refused(guarded, ask("/subscribe", is_upgrade=True, is_handshake=True)) for _ in range(51)]
    assert [each.status for each in told] == [401] * 50 + [429]


async def test_behind_a_trusted_proxy_clients_have_separate_rates(tmp_path: Path) -> None:
    access = await start(tmp_path, trusted_proxies="10.0.0.0/8")
    for client in ("203.0.113.1", "203.0.113.2"):
        told = [await refused(access, ask(peer="10.0.0.1", forwarded=[client])) for _ in range(20)]
        assert {each.status for each in told} == {401}


async def test_without_authentication_no_rate_applies(unguarded: Access) -> None:
    for _ in range(2000):
        assert await unguarded.door.admit(ask()) is ANONYMOUS

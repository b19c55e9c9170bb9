"""Which address counts as the client's."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwire.gateway.access import addresses
from turnwire.gateway.access.addresses import ClientAddresses


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "found"),
    [
        ("", "192.0.2.1", [], "192.0.2.1"),
        ("", "192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("10.0.0.0/8", "192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("10.0.0.0/8", "10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.0/8", "10.0.0.1", ["6.6.6.6, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.0/8", "10.0.0.1", ["6.6.6.6", "203.0.113.9", "10.0.0.2"], "203.0.113.9"),
        ("10.0.0.0/8", "10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.0/8", "10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", ["6.6.6.6, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.0/8", "10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
        ("10.0.0.0/8", "::ffff:10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("fd00::/8", "fd00::1", ['"[2001:db8:1:2:3:4:5:6]:4711"'], "2001:db8:1:2::/64"),
        ("", "2001:db8:1:2:ffff::1", [], "2001:db8:1:2::/64"),
        ("", "fe80::1%eth0", [], "fe80::/64"),
        ("", "", ["203.0.113.9"], "unix"),
        ("unix", "", ["203.0.113.9"], "203.0.113.9"),
        ("unix,10.0.0.0/8", "unix", ["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
    ],
)
def test_the_client_address_is_the_sockets_or_the_rightmost_untrusted_forwarded_one(
    trusted: str, peer: str, forwarded: list[str], found: str
) -> None:
    assert ClientAddresses(trusted).find(peer, forwarded) == found


def test_of_thousands_of_trusted_proxies_only_the_last_few_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looking = Mock(wraps=addresses._parse_hop)
    monkeypatch.setattr(addresses, "_parse_hop", looking)
    assert ClientAddresses("10.0.0.0/8").find("10.0.0.1", ["203.0.113.9", *["10.0.0.2, " * 800 + "10.0.0.3"] * 4])
    assert looking.call_count <= 100


@given(forwarded=st.lists(st.text(max_size=40), max_size=4))
def test_no_forwarded_header_breaks_the_client_address_or_forges_one(forwarded: list[str]) -> None:
    assert ClientAddresses("10.0.0.0/8").find("192.0.2.1", forwarded) == "192.0.2.1"
    assert ClientAddresses("10.0.0.0/8").find("10.0.0.1", forwarded)

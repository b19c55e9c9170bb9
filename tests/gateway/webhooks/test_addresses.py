"""Messages go to public addresses only, whatever a name leads to at the moment of the connection."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from turnwire.gateway.webhooks.addresses import AddressInfo, check_url, guarded_sockets, is_public
from turnwire.protocol.errors import InvalidMessage

PRIVATE = (
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
    *("224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "fec0::1"),
    *("ff02::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "::7f00:1"),
    *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1"),
    *("64:ff9b:1::a00:1", "100:0:0:1::1", "3fff::1", "3fff:fff::1", "5f00::1", "2001:20::1"),
)
PUBLIC = ("8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")


def info_of(address: str) -> AddressInfo:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.SOCK_STREAM, 6, "", (address, 443)


@pytest.mark.parametrize("address", PRIVATE)
def test_no_socket_is_made_for_an_address_that_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))
    with pytest.raises(OSError, match="not a public address"):
        guarded_sockets(allow_private=False)(info_of(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_sockets_are_made_for_public_addresses(address: str) -> None:
    assert is_public(ip_address(address))
    guarded_sockets(allow_private=False)(info_of(address)).close()


def test_sockets_are_made_for_private_addresses_if_they_are_allowed() -> None:
    guarded_sockets(allow_private=True)(info_of("127.0.0.1")).close()


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com/", "https://10.0.0.1/", "https://[::1]/", "https://localhost/", "https://localhost./"),
        *("ftp://example.com/", "https://", "example.com", "https://u:p@example.com/", "https://example.com/#a"),
        *("https://example.com:99999/", f"https://example.com/{'x' * 2100}"),
        *("https://exa mple.com/", "https://\0/", "https://example.com:0/", "https://2130706433/", "https://127.1/"),
        *("https://a..b/", "https://.a/", "https://a%2fb/"),
    ],
)
def test_urls_that_no_message_may_go_to_are_refused(url: str) -> None:
    with pytest.raises(InvalidMessage):
        check_url(url, allow_private=False)


def test_an_allowed_url_is_accepted_unchanged() -> None:
    assert check_url("https://example.com:8443/a?b=c", allow_private=False) == "https://example.com:8443/a?b=c"
    assert check_url("http://127.0.0.1:80/", allow_private=True) == "http://127.0.0.1:80/"
    for url in (
        "https://bücher.example/",
        "https://my_host.example./",
        "https://[2606:4700::1111]/",
        "https://1e100.net/",
    ):
        assert check_url(url, allow_private=False) == url
    assert check_url("http://receiver:8080/", allow_private=True) == "http://receiver:8080/"

"""From the URL a user gives to the URLs of a gateway's resources."""

from __future__ import annotations

import pytest

from turnwire.address import Address


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://localhost:3000/", "http://localhost:3000"),
        ("ws://localhost:3000", "http://localhost:3000"),
        ("wss://example.com", "https://example.com"),
        ("https://example.com/voice/", "https://example.com/voice"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("https://example.com/a%2Fb", "https://example.com/a%2Fb"),
    ],
)
def test_http_and_websocket_urls_name_the_same_gateway(url: str, base: str) -> None:
    address = Address(url)
    assert str(address) == base
    assert str(address.http("sessions")) == f"{base}/sessions"
    assert str(address.websocket("subscribe")) == f"{base}/subscribe".replace("http", "ws", 1)


@pytest.mark.parametrize(
    ("session_id", "segment"),
    [
        ("call-17", "call-17"),
        ("a/b", "a%2Fb"),
        ("50% of ü?", "50%25%20of%20%C3%BC%3F"),
        ("a%2Fb", "a%252Fb"),
        ("#1", "%231"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("a+b", "a%2Bb"),
    ],
)
def test_a_session_id_is_one_path_segment_whatever_it_contains(session_id: str, segment: str) -> None:
    url = Address("http://localhost:3000/base").http("sessions", session_id, "events", query=[("afterSeq", "1 2")])
    assert str(url) == f"http://localhost:3000/base/sessions/{segment}/events?afterSeq=1+2"


@pytest.mark.parametrize("url", ["", "localhost:3000", "ftp://example.com", "http://", "http://a?b=c", "http://a:b"])
def test_a_url_that_names_no_gateway_raises(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        Address(url)

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
    ("session_id", "rest"),
    [
        ("call-17", "call-17/events?"),
        ("50 of ü?", "50%20of%20%C3%BC%3F/events?"),
        ("#1", "%231/events?"),
        ("a+b", "a%2Bb/events?"),
        ("...", ".../events?"),
        ("-", "-/events?"),
        ("a/b", "-/events?sessionId=a%2Fb&"),
        ("a\\b", "-/events?sessionId=a%5Cb&"),
        ("a%2Fb +", "-/events?sessionId=a%252Fb+%2B&"),
        ("..", "-/events?sessionId=..&"),
        (".", "-/events?sessionId=.&"),
    ],
)
def test_a_session_id_is_a_path_segment_unless_a_proxy_might_change_it_there(session_id: str, rest: str) -> None:
    url = Address("http://localhost:3000/base").http("sessions", session_id, "events", query=[("afterSeq", "1 2")])
    assert str(url) == f"http://localhost:3000/base/sessions/{rest}afterSeq=1+2"


@pytest.mark.parametrize("url", ["", "localhost:3000", "ftp://example.com", "http://", "http://a?b=c", "http://a:b"])
def test_a_url_that_names_no_gateway_raises(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        Address(url)

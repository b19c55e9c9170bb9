"""A client that is gone is not served: what it has sent before it was lost keeps nobody waiting."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import pytest

from tests.support.gateways import Gateway, new_id
from tests.support.sockets import RawSocket, client_frame, publish_path, until
from turnwire.gateway.sockets.publisher_connection import PublisherConnection
from turnwire.gateway.sockets.subscriber_connection import SubscriberConnection

MANY = 2000


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many messages connections of each kind have handled."""
    counts: Counter[str] = Counter()

    def count(kind: type, name: str) -> None:
        handle: Callable[..., object] = getattr(kind, name)

        def counted(self: object, *args: object) -> object:
            counts[kind.__name__] += 1
            return handle(self, *args)

        monkeypatch.setattr(kind, name, counted)

    count(SubscriberConnection, "_handle")
    count(PublisherConnection, "_handle")
    return counts


async def test_what_a_subscriber_had_sent_is_dropped_once_its_connection_is_lost(
    gateway: Gateway, handled: Counter[str]
) -> None:
    session_id = await gateway.create(new_id("s"))
    pair = [{"type": "subscribe", "ref": "r", "sessionId": session_id}, {"type": "unsubscribe", "ref": "r"}]
    raw = await RawSocket.connect(gateway, "/subscribe")
    raw.write_at_once(b"".join(client_frame(json.dumps(each).encode()) for each in pair) * (MANY // 2))
    raw.abort()
    await until(lambda: not gateway.connections, "the end of the connection")
    assert handled["SubscriberConnection"] <= 3 * 32  # turns, until a write fails and the loss is known


async def test_of_a_publisher_only_what_was_parsed_is_handled_once_its_connection_is_lost(
    gateway: Gateway, handled: Counter[str]
) -> None:
    raw = await RawSocket.connect(gateway, publish_path(new_id("s"), "en"))
    await raw.receive()
    frames = [{"type": "signal", "key": "k", "payload": {}}, {"type": "ping"}]
    raw.write_at_once(b"".join(client_frame(json.dumps(each).encode()) for each in frames) * (MANY // 2))
    raw.abort()
    await until(lambda: not gateway.connections, "the end of the connection")
    assert 0 < handled["PublisherConnection"] <= 600


async def test_what_a_client_sends_before_it_closes_in_good_order_is_handled_to_the_end(
    gateway: Gateway, handled: Counter[str]
) -> None:
    raw = await RawSocket.connect(gateway, publish_path(new_id("s"), "en"))
    await raw.receive()
    frame = json.dumps({"type": "signal", "key": "k", "payload": {}}).encode()
    raw.write_at_once(client_frame(frame) * 1000)
    raw.close()
    await until(lambda: not gateway.connections, "the end of the connection")
    assert handled["PublisherConnection"] == 1000

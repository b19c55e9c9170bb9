"""The receive limit that a client is told is enough for everything it gets."""

from __future__ import annotations

import aiohttp
import msgspec

from tests.support.gateways import Gateway, new_event
from tests.support.sockets import publish_path, publisher, subscriber
from turnwire.protocol.limits import FRAME_BYTES, Limits


async def test_no_event_is_longer_than_the_receive_limit_of_subscribed(gateway: Gateway) -> None:
    async with gateway.client.ws_connect(
        gateway.ws_url + publish_path("s", "en"), protocols=["turnwire.v1.msgpack"]
    ) as bot:
        await bot.receive_bytes()
        escaped = new_event("e", {"text": "\x01" * 130_000})  # six times as long in JSON
        await bot.send_bytes(msgspec.msgpack.encode({"type": "append", "events": [escaped]}))
        assert msgspec.msgpack.decode(await bot.receive_bytes())["acks"] == [{"eventId": "e", "seq": 1}]
    board = await subscriber(gateway, max_msg_size=Limits().receive_bytes)
    assert (await board.subscribe("s", 0))["minReceiveBytes"] == Limits().receive_bytes
    (event,) = await board.events(1)
    assert event["payload"] == escaped["payload"]


async def test_acks_of_long_ids_come_in_order_in_messages_within_the_limit(gateway: Gateway) -> None:
    bot = await publisher(gateway, "s")
    ids = [f"{n:03}{'é' * 253}" for n in range(500)]
    await bot.append(*(new_event(each) for each in ids))
    acked: list[str] = []
    while len(acked) < len(ids):
        message = await bot.ws.receive()
        assert message.type is aiohttp.WSMsgType.TEXT
        assert len(message.data.encode()) <= FRAME_BYTES
        acked += [each["eventId"] for each in msgspec.json.decode(message.data)["acks"]]
    assert acked == ids

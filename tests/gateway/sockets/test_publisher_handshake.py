"""Who may open a publisher's or a subscriber's socket, and what the first message says."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from aiohttp import WSServerHandshakeError

from tests.support.gateways import Gateway, StartGateway, new_id
from tests.support.sockets import Socket, publish_path, publisher, subscriber
from turnwire.protocol.codec import SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ((), None),
        ((SUBPROTOCOL_JSON,), SUBPROTOCOL_JSON),
        ((SUBPROTOCOL_MSGPACK,), SUBPROTOCOL_MSGPACK),
        ((SUBPROTOCOL_MSGPACK, SUBPROTOCOL_JSON), SUBPROTOCOL_MSGPACK),
        (("chat", SUBPROTOCOL_JSON), SUBPROTOCOL_JSON),
    ],
)
async def test_both_sockets_speak_the_requested_subprotocol(
    gateway: Gateway, asked: Sequence[str], chosen: str | None
) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id, protocols=asked)
    board = await subscriber(gateway, protocols=asked)
    assert bot.ws.protocol == board.ws.protocol == chosen
    await board.subscribe(session_id, 0)
    assert await bot.acked("e1", "e2") == [1, 2]
    assert [event["eventId"] for event in await board.events(2)] == ["e1", "e2"]


async def test_an_unknown_subprotocol_is_refused_with_a_list_of_the_served_ones(gateway: Gateway) -> None:
    session_id = await gateway.create()
    for path in ("/subscribe", publish_path(session_id)):
        headers = {**UPGRADE, "Sec-WebSocket-Protocol": "turnwire.v2.json, chat"}
        envelope = await gateway.refused("GET", path, 400, headers=headers)
        assert SUBPROTOCOL_JSON in envelope["message"][0]
        assert SUBPROTOCOL_MSGPACK in envelope["message"][0]


async def test_both_sockets_refuse_unknown_parameters_and_name_the_nearest_known_one(gateway: Gateway) -> None:
    envelope = await gateway.refused("GET", "/sessions/new/publish?langauge=en", 400, headers=UPGRADE)
    assert envelope["code"] == "invalid_message"
    assert envelope["message"] == ["unknown parameter 'langauge'; did you mean 'language'?"]
    await gateway.refused("GET", "/subscribe?sessionId=s", 400, headers=UPGRADE)


async def test_publishing_to_an_unknown_session_is_not_found_before_the_upgrade(gateway: Gateway) -> None:
    envelope = await gateway.refused("GET", "/sessions/nobody/publish", 404, headers=UPGRADE)
    assert envelope["code"] == "not_found"
    await gateway.refused("GET", "/sessions/nobody", 404)


async def test_a_language_creates_an_unknown_session_and_leaves_an_existing_one_unchanged(gateway: Gateway) -> None:
    session_id = new_id("s")
    first = await publisher(gateway, session_id, language="de")
    assert first.opened["session"]["language"] == "de"
    assert first.opened["session"]["status"] == "initiated"
    again = await publisher(gateway, session_id, language="fr")
    assert again.opened["session"]["language"] == "de"


@pytest.mark.parametrize("language", ["", "x" * 65])
async def test_an_invalid_language_in_the_handshake_is_refused(gateway: Gateway, language: str) -> None:
    await gateway.refused("GET", f"/sessions/s/publish?language={language}", 400, headers=UPGRADE)
    await gateway.refused("GET", "/sessions/s", 404)


async def test_a_plain_get_on_a_socket_route_is_refused_with_the_reason(gateway: Gateway) -> None:
    session_id = await gateway.create()
    for path in ("/subscribe", publish_path(session_id)):
        envelope = await gateway.refused("GET", path, 400)
        assert "WebSocket" in envelope["message"][0]
    await gateway.refused("POST", "/subscribe", 405)


@pytest.mark.parametrize(
    "session_id", ["a/b", "a%2Fb", "päth ✓ 電話", "a?b#c&d=e", "x" * 256, "電" * 256, " ", "...", "{}"]
)
async def test_any_id_of_up_to_256_characters_works_on_both_sockets(gateway: Gateway, session_id: str) -> None:
    bot = await publisher(gateway, session_id)
    assert bot.opened["session"]["sessionId"] == session_id
    assert await bot.acked("e1") == [1]
    board = await subscriber(gateway)
    assert (await board.subscribe(session_id, 0))["session"]["sessionId"] == session_id
    assert [event["sessionId"] for event in await board.events(1)] == [session_id]


async def test_an_id_of_257_characters_is_refused(gateway: Gateway) -> None:
    envelope = await gateway.refused("GET", publish_path("x" * 257, "en"), 400, headers=UPGRADE)
    assert "256" in envelope["message"][0]


@pytest.mark.parametrize("path", ["/sessions/%2E/publish", "/sessions/%2e%2E/publish"])
async def test_no_session_is_made_that_a_path_cannot_name(gateway: Gateway, path: str) -> None:
    envelope = await gateway.refused("GET", f"{path}?language=en", 400, headers=UPGRADE)
    assert "sessionId must not be ." in envelope["message"][0]
    await gateway.refused("GET", path, 404, headers=UPGRADE)


async def test_session_ids_with_a_common_prefix_are_different_sessions(gateway: Gateway) -> None:
    base = new_id("s")
    ids = [base, base + "/0000000001", base + "/", base.upper()]
    for number, session_id in enumerate(ids):
        bot = await publisher(gateway, session_id)
        assert await bot.acked(f"e{number}") == [1]
    board = await subscriber(gateway)
    for number, session_id in enumerate(ids):
        await board.subscribe(session_id, 0, ref=session_id)
        (event,) = await board.events(1, ref=session_id)
        assert event["eventId"] == f"e{number}"
        await board.next("caughtUp")


async def test_opened_has_the_stored_head_and_the_limits(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(
        max_in_flight=7,
        max_event_bytes=2048,
        max_frame_bytes=4096,
        max_batch_events=5,
        max_depth=9,
        ping_interval=1.5,
    )
    session_id = await gateway.create(metadata={"caller": "+49 30"})
    first = await publisher(gateway, session_id)
    assert first.opened["epoch"] == 1
    assert (first.opened["lastSeq"], first.opened["lastEventId"]) == (0, None)
    assert first.opened["limits"] == {
        "maxInFlight": 7,
        "maxEventBytes": 2048,
        "maxFrameBytes": 4096,
        "maxBatchEvents": 5,
        "pingIntervalMs": 1500,
        "maxDepth": 9,
        "minReceiveBytes": 278_528,  # 256 KiB, and room for what surrounds a payload
    }
    assert first.opened["session"]["metadata"] == {"caller": "+49 30"}
    assert first.opened["serverTime"].endswith("Z")
    await first.acked("e1", "e2")
    await first.close()
    second = await publisher(gateway, session_id)
    assert second.opened["epoch"] == 2
    assert (second.opened["lastSeq"], second.opened["lastEventId"]) == (2, "e2")


async def test_a_session_no_longer_in_memory_is_opened_from_the_store(start_gateway: StartGateway) -> None:
    session_id = new_id("s")
    first = await start_gateway()
    bot = await publisher(first, session_id)
    await bot.acked("e1", "e2", "e3")
    await first.stop()
    second = await start_gateway()
    bot = await publisher(second, session_id, language=None)
    assert (bot.opened["epoch"], bot.opened["lastSeq"], bot.opened["lastEventId"]) == (2, 3, "e3")
    assert bot.opened["session"]["status"] == "active"


async def test_connections_over_the_limit_are_refused_with_503(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_connections=2)
    bot = await publisher(gateway, new_id("s"))
    board = await subscriber(gateway)
    with pytest.raises(WSServerHandshakeError) as refusal:
        await Socket.connect(gateway, "/subscribe")
    assert refusal.value.status == 503
    await bot.close()
    await board.close()
    await publisher(gateway, new_id("s"))

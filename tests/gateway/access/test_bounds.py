"""Bounds and rates of one connection, each hit by a client that goes over it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.gateway.access.wired import allowed, start_guarded
from tests.support.gateways import Gateway, StartGateway
from tests.support.sockets import RawSocket, client_frame, publisher, subscriber
from turnwire.protocol.rights import Scope

EVERYTHING = " ".join(set(Scope) - {"admin"})


async def test_twenty_unreadable_messages_in_a_row_close_the_connection(start_gateway: StartGateway) -> None:
    gateway = await start_gateway()
    for socket in (await publisher(gateway, "a"), await subscriber(gateway)):
        for _ in range(3):
            for _ in range(19):
                await socket.ws.send_str("nonsense")
            await socket.send({"type": "ping"})
            await socket.next_of("pong")
        for _ in range(25):
            await socket.ws.send_str("nonsense")
        messages, code = await socket.rest()
        assert (len(messages), code) == (20, 4400)


async def test_a_fifth_feed_on_one_connection_is_refused(start_gateway: StartGateway) -> None:
    gateway = await start_gateway()
    board = await subscriber(gateway)
    for number in range(4):
        await board.send({"type": "subscribe", "ref": f"f{number}", "feed": "sessions"})
        await board.next_of("subscribed")
    await board.send({"type": "subscribe", "ref": "f4", "feed": "sessions"})
    assert (await board.next_of("error"))["code"] == "overloaded"
    await board.send({"type": "unsubscribe", "ref": "f0"})
    await board.next_of("unsubscribed")
    await board.send({"type": "subscribe", "ref": "f4", "feed": "sessions"})
    await board.next_of("subscribed")


async def test_commands_over_the_rate_are_refused_then_the_connection_is_closed(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    gateway = await start_guarded(start_gateway, tmp_path, rate_commands="10/20")
    board = await subscriber(gateway)
    for _ in range(200):
        await board.send({"type": "ping"})
    messages, code = await board.rest()
    kinds = [message["type"] for message in messages]
    assert kinds[:20] == ["pong"] * 20
    assert "error" in kinds
    assert {message["code"] for message in messages if message["type"] == "error"} == {"rate_limited"}
    assert code == 4429


async def test_control_frames_over_the_rate_close_the_connection(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = await start_guarded(start_gateway, tmp_path)
    raw = await RawSocket.connect(gateway, "/subscribe", Authorization=allowed(EVERYTHING)["Authorization"])
    await raw.write(client_frame(b"", 9) * 200)
    assert await raw.close_code() == 4429
    raw.close()


@pytest.mark.parametrize("frame", [client_frame(b"", 9), client_frame(b'{"type":"ping"}')], ids=["control", "message"])
async def test_pings_without_end_are_answered_within_the_share_for_what_is_wasted(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, frame: bytes
) -> None:
    pauses: list[float] = []

    async def pause(spent: float) -> None:
        pauses.append(spent)

    monkeypatch.setattr(gateway.gateway.parts.turns.wasted, "pause", pause)
    raw = await RawSocket.connect(gateway, "/subscribe")
    await raw.write(frame * 3000)
    for _ in range(3000):
        await raw.frame()
    assert len(pauses) >= 1000 // 32
    assert min(pauses) > 0
    raw.close()


async def test_a_connection_for_whose_pings_there_is_no_time_is_closed(gateway: Gateway) -> None:
    share = gateway.gateway.parts.turns.wasted
    waiting = asyncio.create_task(share.pause(1.0))  # as if others had wasted a second
    await asyncio.sleep(0)
    raw = await RawSocket.connect(gateway, "/subscribe")
    await raw.write(client_frame(b"", 9) * 3000)
    assert await raw.close_code() == 1013
    raw.close()
    waiting.cancel()


async def test_a_publisher_over_its_event_rate_is_not_read_and_loses_no_event(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    gateway = await start_guarded(start_gateway, tmp_path, rate_events="100/50")
    bot = await publisher(gateway, "a")
    began = asyncio.get_running_loop().time()
    for number in range(150):
        await bot.append(f"e{number}")
    answers = await bot.answers(150)
    assert [each["seq"] for each in answers] == list(range(1, 151))
    assert asyncio.get_running_loop().time() - began > 0.8


async def test_over_the_signal_rate_the_newest_signal_of_a_key_wins(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    gateway = await start_guarded(start_gateway, tmp_path, rate_signals="5/5")
    bot = await publisher(gateway, "a")
    board = await subscriber(gateway)
    await board.subscribe("a")
    clock = asyncio.get_running_loop().time
    began = clock()
    for number in range(100):
        await bot.send({"type": "signal", "key": "k", "payload": {"n": number}})
    seen: list[int] = []
    while not seen or seen[-1] != 99:
        seen.append((await board.next_of("signal"))["payload"]["n"])
    assert seen == sorted(seen)
    assert len(seen) <= min(99, 5 + 5 * (clock() - began) + 1)


async def test_connections_over_the_limit_of_a_principal_are_refused_before_the_upgrade(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    gateway = await start_guarded(start_gateway, tmp_path, max_connections_per_principal=2)
    first = await subscriber(gateway)
    await subscriber(gateway)
    await gateway.refused(
        "GET",
        "/subscribe",
        429,
        headers={
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        },
    )
    await first.close()
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        while gateway.gateway.access.rates.connections.of("key:root") == 2:
            await asyncio.sleep(0.01)
    await subscriber(gateway)


@pytest.mark.parametrize("media_type", ["text/event-stream", "application/x-ndjson"])
async def test_a_client_gets_at_most_sixteen_streams(start_gateway: StartGateway, media_type: str) -> None:
    gateway = await start_gateway(max_streams_per_principal=2, max_outbox_bytes=4096)
    session_id = await gateway.create()
    await gateway.fill(session_id, 1)
    headers = {"Accept": media_type}
    if media_type == "application/x-ndjson":
        for _ in range(3):  # each has ended before the next one
            async with gateway.request("GET", f"/sessions/{session_id}/events", headers=headers) as answer:
                assert answer.status == 200
                await answer.read()
        return
    answers = [await gateway.request("GET", f"/sessions/{session_id}/events", headers=headers) for _ in range(2)]
    for each in (session_id, "nowhere"):  # what exists is not looked for
        await gateway.refused("GET", f"/sessions/{each}/events", 503, headers=headers)
    for answer in answers:
        answer.close()

"""What a subscriber may ask for, and which errors it gets otherwise."""

from __future__ import annotations

from typing import Any

from tests.support.failpoints import failing
from tests.support.gateways import Gateway, StartGateway, new_id
from tests.support.sockets import Socket, publisher, subscriber
from turnwire.gateway.watching.audience import watchers_of


async def refused(board: Socket, message: Any, code: str, ref: str | None) -> str:
    """Return the text of the error that answers this message."""
    error = await board.ask(message, "error")
    assert (error["code"], error.get("ref")) == (code, ref), error
    assert ("ref" in error) == (ref is not None)
    await board.ask({"type": "ping"}, "pong")
    return str(error["message"])


async def test_subscribing_from_beyond_the_log_is_refused(gateway: Gateway) -> None:
    session_id = await gateway.create()
    await gateway.fill(session_id, 3)
    board = await subscriber(gateway)
    message = {"type": "subscribe", "ref": "a", "sessionId": session_id, "afterSeq": 4}
    assert "3" in await refused(board, message, "invalid_message", "a")
    await board.subscribe(session_id, 3, ref="a")  # the ref is still free


async def test_subscribing_to_an_unknown_session_is_not_found(gateway: Gateway) -> None:
    board = await subscriber(gateway)
    await refused(board, {"type": "subscribe", "ref": "a", "sessionId": "nobody"}, "not_found", "a")
    await gateway.create("nobody")
    await board.subscribe("nobody", ref="a")


WRONG: list[tuple[dict[str, Any], str | None]] = [
    ({"ref": ""}, None),
    ({"ref": "r" * 129}, None),
    ({"ref": 5}, None),
    ({"ref": None}, None),
    ({"ref": "a", "sessionId": 5}, "a"),
    ({"ref": "a", "sessionId": ""}, "a"),
    ({"ref": "a", "sessionId": "s" * 257}, "a"),
    ({"ref": "a", "afterSeq": -1}, "a"),
    ({"ref": "a", "afterSeq": "0"}, "a"),
    ({"ref": "a", "afterSeq": 1.5}, "a"),
    ({"ref": "a", "feed": "sessions"}, "a"),
    ({"ref": "a", "sessionId": None}, "a"),
    ({"ref": "a", "sessionId": None, "feed": "events"}, "a"),
    ({"ref": "a", "sessionId": None, "feed": "sessions", "afterSeq": 0}, "a"),
    ({"ref": "a", "sessionId": None, "feed": "sessions", "status": ["open"]}, "a"),
    ({"ref": "a", "sessionId": None, "feed": "sessions", "status": "active"}, "a"),
]


async def test_an_invalid_subscribe_is_refused_with_its_ref(gateway: Gateway) -> None:
    session_id = await gateway.create()
    board = await subscriber(gateway)
    for fields, ref in WRONG:
        await refused(board, {"type": "subscribe", "sessionId": session_id, **fields}, "invalid_message", ref)


async def test_a_ref_of_128_characters_is_accepted_and_free_again_after_unsubscribe(gateway: Gateway) -> None:
    session_id = await gateway.create()
    await gateway.fill(session_id, 2)
    board = await subscriber(gateway)
    ref = "電" * 128
    for _ in range(3):
        await board.subscribe(session_id, 0, ref=ref)
        await board.events(2, ref=ref)
        await board.next("caughtUp")
        assert await board.ask({"type": "unsubscribe", "ref": ref}, "unsubscribed") == {
            "type": "unsubscribed",
            "ref": ref,
        }


async def test_a_ref_in_use_is_refused_and_its_subscription_continues(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot, board = await publisher(gateway, session_id), await subscriber(gateway)
    await board.subscribe(session_id, 0, ref="a")
    await board.next("caughtUp")
    message = {"type": "subscribe", "ref": "a", "sessionId": session_id}
    await refused(board, message, "invalid_message", "a")
    await bot.acked("e1")
    await board.events(1, ref="a")


async def test_unsubscribing_an_unknown_ref_is_refused(gateway: Gateway) -> None:
    board = await subscriber(gateway)
    await refused(board, {"type": "unsubscribe", "ref": "a"}, "invalid_message", "a")
    await refused(board, {"type": "unsubscribe"}, "invalid_message", None)


async def test_no_message_of_a_subscription_follows_unsubscribed(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot, board = await publisher(gateway, session_id), await subscriber(gateway)
    await bot.acked(*(f"e{n}" for n in range(300)))
    for _ in range(5):  # in the middle of the replay
        await board.subscribe(session_id, 0, ref="a")
        await board.send({"type": "unsubscribe", "ref": "a"})
        await board.next_of("unsubscribed")
    await bot.acked("more")
    await bot.send({"type": "signal", "key": "k", "payload": {}})
    await bot.ask({"type": "complete"}, "completed")
    await board.ask({"type": "ping"}, "pong")
    assert not watchers_of(gateway.live[session_id].state)


async def test_every_change_of_status_is_pushed_between_the_right_events(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot, board = await publisher(gateway, session_id), await subscriber(gateway)
    await board.subscribe(session_id)
    await board.next("caughtUp")
    await bot.acked("a")
    await bot.acked("b")
    completed = await bot.ask({"type": "complete", "reason": "bye"}, "completed")
    seen = [await board.receive() for _ in range(4)]
    assert [message["type"] for message in seen] == ["events", "session", "events", "session"]
    assert seen[1] == {"type": "session", "ref": "r", "session": seen[1]["session"]}
    assert seen[1]["session"]["status"] == "active"
    assert seen[3]["session"] == completed["session"]


async def test_subscriptions_over_the_limit_are_refused(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_subscriptions=2)
    session_id = await gateway.create()
    board = await subscriber(gateway)
    for ref in ("a", "b"):
        await board.subscribe(session_id, ref=ref)
        await board.next("caughtUp")
    message = {"type": "subscribe", "ref": "c", "sessionId": session_id}
    assert "2" in await refused(board, message, "overloaded", "c")
    await board.ask({"type": "unsubscribe", "ref": "a"}, "unsubscribed")
    await board.subscribe(session_id, ref="c")


async def test_subscribing_during_an_outage_gets_an_error_with_its_ref_and_works_later(
    start_gateway: StartGateway, database_uri: str
) -> None:
    gateway = await start_gateway()
    session_id = await gateway.create()
    await gateway.post(f"/sessions/{session_id}/complete", {})  # so the gateway does not load it again at its start
    await gateway.stop()
    gateway = await start_gateway(rest_timeout=0.3)
    board = await subscriber(gateway)
    async with failing(database_uri, "find"):
        error = await board.ask({"type": "subscribe", "ref": "a", "sessionId": session_id}, "error")
        assert (error["code"], error["ref"], error["retryable"]) == ("storage_unavailable", "a", True)
    while (told := await _try(board, session_id))["type"] == "error":
        assert told["code"] == "storage_unavailable"


async def _try(board: Socket, session_id: str) -> Any:
    await board.send({"type": "subscribe", "ref": "a", "sessionId": session_id})
    return await board.receive()


async def test_a_publishers_message_on_a_subscribers_socket_is_refused(gateway: Gateway) -> None:
    board = await subscriber(gateway)
    for kind in ("append", "complete", "signal"):
        await refused(board, {"type": kind, "events": []}, "invalid_message", None)


async def test_a_ref_or_session_id_that_is_not_unicode_is_refused(gateway: Gateway) -> None:
    board = await subscriber(gateway)
    await board.ws.send_str('{"type":"subscribe","ref":"a","sessionId":"\\ud800"}')
    assert (await board.next("error"))["code"] in ("invalid_json", "invalid_message", "not_found")
    await board.ask({"type": "ping"}, "pong")

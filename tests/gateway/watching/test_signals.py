"""Signals: passed on in order, conflated while they wait, never stored."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support.failpoints import failing
from tests.support.gateways import Gateway, new_id
from tests.support.sockets import Socket, publisher, subscriber
from turnwire.protocol.codec import SUBPROTOCOL_MSGPACK


def signal(key: str, **payload: Any) -> dict[str, Any]:
    return {"type": "signal", "key": key, "payload": payload}


async def watched_publisher(gateway: Gateway) -> tuple[Socket, Socket]:
    session_id = new_id("s")
    bot, board = await publisher(gateway, session_id), await subscriber(gateway)
    await board.subscribe(session_id)
    await board.next("caughtUp")
    return bot, board


async def test_signals_arrive_in_order_with_events_in_both_codecs(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    boards = [await subscriber(gateway), await subscriber(gateway, protocols=[SUBPROTOCOL_MSGPACK])]
    for board in boards:
        await board.subscribe(session_id, 0)
        await board.next("caughtUp")
    seen: list[list[Any]] = [[], []]

    async def receive(count: int) -> None:
        for messages, board in zip(seen, boards, strict=True):
            messages += [await board.receive() for _ in range(count)]

    await bot.send(signal("typing", on=True))
    await receive(1)
    await bot.append("a")
    await bot.send(signal("typing", on=False), signal("partial", text="he", n=2**40))
    await bot.append("b")
    await receive(5)
    for messages in seen:
        kinds = [message["type"] for message in messages]
        assert kinds == ["signal", "events", "session", "signal", "signal", "events"]
        assert messages[0] == {**signal("typing", on=True), "ref": "r", "sessionId": session_id}
        assert messages[3]["payload"] == {"on": False}
        assert messages[4]["payload"] == {"text": "he", "n": 2**40}


async def test_signals_are_not_stored_or_acked_and_do_not_change_the_session(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    await bot.send(signal("k", a=1))
    await bot.ask({"type": "ping"}, "pong")
    session = await gateway.get(f"/sessions/{session_id}")
    assert (session["status"], session["lastSeq"], session["events"]) == ("initiated", 0, [])
    board = await subscriber(gateway)
    await board.subscribe(session_id, 0)
    assert (await board.receive())["type"] == "caughtUp"
    await board.ask({"type": "ping"}, "pong")


async def test_a_newer_signal_replaces_a_waiting_one_of_its_key(gateway: Gateway, database_uri: str) -> None:
    bot, board = await watched_publisher(gateway)
    async with failing(database_uri, "insert"):
        await bot.append("a")
        for number in range(1000):
            await bot.send(signal("partial", n=number), signal("level", n=number))
        await bot.append("b")
        await bot.ask({"type": "ping"}, "pong")
    await bot.answers(2)
    seen = [await board.receive() for _ in range(5)]
    assert [message["type"] for message in seen] == ["events", "session", "signal", "signal", "events"]
    assert [(message["key"], message["payload"]) for message in seen[2:4]] == [
        ("partial", {"n": 999}),
        ("level", {"n": 999}),
    ]


async def test_signals_of_very_many_keys_wait_within_a_bound(gateway: Gateway, database_uri: str) -> None:
    bot, board = await watched_publisher(gateway)
    async with failing(database_uri, "insert"):
        await bot.append("a")
        for number in range(500):
            await bot.send(signal(f"k{number}", n=number))
        await bot.ask({"type": "ping"}, "pong")
    await board.next("events")
    await board.next("session")
    last = [(await board.next("signal"))["payload"]["n"] for _ in range(64)]
    assert last == list(range(436, 500))


async def test_a_signal_over_a_limit_gets_an_error(gateway: Gateway) -> None:
    bot = await publisher(gateway, new_id("s"))
    deep: Any = 1
    for _ in range(64):
        deep = [deep]
    for message in (signal("k", t="x" * 131_072), signal("k" * 257), signal("k", deep=deep)):
        error = await bot.ask(message, "error")
        assert error["code"] in ("invalid_message", "too_large")
    await bot.acked("a")


async def test_signals_of_a_publisher_taken_over_are_not_passed_on(gateway: Gateway, database_uri: str) -> None:
    session_id = new_id("s")
    old, board = await publisher(gateway, session_id), await subscriber(gateway)
    await board.subscribe(session_id)
    await board.next("caughtUp")
    async with failing(database_uri, "update"):  # the claim waits, and signals of the old publisher wait behind it
        taking_over = asyncio.create_task(publisher(gateway, session_id))
        live = gateway.live[session_id]
        async with asyncio.timeout(10):
            while live.state.busy_since is None:
                await asyncio.sleep(0.005)
        await old.send(signal("from", who="old"))
        await old.ask({"type": "ping"}, "pong")
    new = await taking_over
    await new.send(signal("who", who="new"))
    assert (await board.next("signal"))["payload"] == {"who": "new"}


# --- those who join late ---------------------------------------------------------------------------------------------


async def joined_late(gateway: Gateway, bot: Socket, session_id: str) -> list[Any]:
    """Return the keys and payloads that a new subscriber gets before a signal sent afterwards."""
    board = await subscriber(gateway)
    await board.subscribe(session_id)
    await board.next("caughtUp")
    await bot.send(signal("mark"))
    shown = []
    while (message := await board.next("signal"))["key"] != "mark":
        shown.append((message["key"], message["payload"]))
    return shown


async def test_a_late_subscriber_gets_the_interim_text_being_spoken(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    await bot.send(
        signal("user_speech", text="I wou"), signal("user_speech", text="I would like"), signal("vad", on=True)
    )
    await bot.ask({"type": "ping"}, "pong")
    assert await joined_late(gateway, bot, session_id) == [("user_speech", {"text": "I would like"})]


async def test_a_late_subscriber_gets_no_interim_text_that_has_been_stored(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    await bot.send(signal("user_speech", text="I wou"), signal("agent", text="Well"))
    await bot.acked("a")  # an utterance of the user
    assert await joined_late(gateway, bot, session_id) == [("agent", {"text": "Well"})]


async def test_a_late_subscriber_gets_no_interim_text_without_a_publisher_or_after_the_end(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    await bot.send(signal("user_speech", text="I wou"))
    await bot.ask({"type": "ping"}, "pong")
    await bot.close()
    again = await publisher(gateway, session_id)
    assert await joined_late(gateway, again, session_id) == []


async def test_the_interim_texts_kept_for_late_subscribers_are_bounded(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    await bot.send(*(signal(f"user-{n}", n=n) for n in range(12)))
    await bot.send(signal("bot", text="x" * 5000), signal("agent", deep={"a": 1}))
    await bot.ask({"type": "ping"}, "pong")
    assert await joined_late(gateway, bot, session_id) == [(f"user-{n}", {"n": n}) for n in range(4, 12)]

"""The feed of sessions: the existing ones, then every change, conflated."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.support.gateways import Gateway, StartGateway, new_event, new_id
from tests.support.sockets import SECONDS, RawSocket, Socket, publisher, subscriber, until
from turnwire.protocol.codec import SUBPROTOCOL_MSGPACK
from turnwire.protocol.limits import Limits

FEED = {"type": "subscribe", "ref": "f", "feed": "sessions"}
Sessions = dict[str, Any]


async def feed(gateway: Gateway, *, protocols: Any = (), **fields: Any) -> tuple[Socket, Sessions]:
    """Open a feed. Return it and the sessions it begins with, by id."""
    board = await subscriber(gateway, protocols=protocols)
    subscribed = await board.ask({**FEED, **fields}, "subscribed")
    assert subscribed == {"type": "subscribed", "ref": "f", "minReceiveBytes": Limits().receive_bytes}
    message = await board.next("sessions")
    assert message["ref"] == "f"
    started = [(session["startedAt"], session["sessionId"]) for session in message["sessions"]]
    assert started == sorted(started, reverse=True)
    return board, {session["sessionId"]: session for session in message["sessions"]}


async def change(board: Socket, session_id: str) -> Any:
    """Return the next change, which must be of this session."""
    message = await board.next("session")
    assert (message["ref"], message["session"]["sessionId"]) == ("f", session_id)
    return message["session"]


@pytest.mark.parametrize("protocol", [None, SUBPROTOCOL_MSGPACK])
async def test_a_feed_begins_with_the_existing_sessions_and_tells_every_change(
    gateway: Gateway, protocol: str | None
) -> None:
    old = await gateway.create()
    await gateway.fill(old, 2)
    board, sessions = await feed(gateway, protocols=[protocol] if protocol else [])
    assert sessions[old].pop("quietMs") >= 0
    assert sessions[old] == {
        field: value
        for field, value in (await gateway.get(f"/sessions/{old}")).items()
        if field not in ("events", "pagination")
    }
    assert (sessions[old]["status"], sessions[old]["lastSeq"]) == ("active", 2)
    created = await gateway.create()
    assert (await change(board, created))["status"] == "initiated"
    await gateway.post(f"/sessions/{created}/events", new_event("a"), status=201)
    active = await change(board, created)
    assert (active["status"], active["lastSeq"]) == ("active", 1)
    await gateway.post(f"/sessions/{created}/events", new_event("b"), status=201)
    assert (await change(board, created))["lastSeq"] == 2
    ended = await gateway.post(f"/sessions/{created}/complete", {})
    assert await change(board, created) == ended
    await gateway.post(f"/sessions/{created}/complete", {})
    await board.ask({"type": "ping"}, "pong")


async def test_a_feed_filtered_by_status_shows_matching_sessions_and_once_each_that_leaves(gateway: Gateway) -> None:
    initiated, active = await gateway.create(), await gateway.create()
    await gateway.fill(active, 1)
    board, sessions = await feed(gateway, status=["active"])
    assert set(sessions) == {active}
    await gateway.fill(initiated, 1)
    assert (await change(board, initiated))["status"] == "active"
    await gateway.post(f"/sessions/{active}/complete", {})
    assert (await change(board, active))["status"] == "completed"
    await gateway.post(f"/sessions/{active}/events", new_event("late"), status=201)  # has left the filter already
    await gateway.post(f"/sessions/{initiated}/events", new_event("x"), status=201)
    assert (await change(board, initiated))["lastSeq"] == 2


async def test_a_feed_may_filter_by_several_statuses(gateway: Gateway) -> None:
    one, two, three = [await gateway.create() for _ in range(3)]
    await gateway.post(f"/sessions/{one}/complete", {"status": "failed"})
    await gateway.post(f"/sessions/{two}/complete", {})
    board, sessions = await feed(gateway, status=["failed", "completed"])
    assert set(sessions) == {one, two}
    await gateway.post(f"/sessions/{three}/complete", {"status": "failed"})
    assert (await change(board, three))["status"] == "failed"


async def test_a_feed_shows_a_session_at_most_four_times_a_second(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    board, _ = await feed(gateway)
    loop = asyncio.get_running_loop()
    began, count = loop.time(), 0

    async def publish() -> None:
        nonlocal count
        while loop.time() - began < 1.2 or count < 9:
            await bot.acked(f"e{count}")
            count += 1

    async def watch() -> int:
        pushes = 0
        while (await board.next("session"))["session"]["lastSeq"] < count or not publishing.done():
            pushes += 1
        return pushes + 1

    publishing = asyncio.create_task(publish())
    async with asyncio.timeout(SECONDS):
        pushes = await watch()
    await publishing
    assert pushes <= (loop.time() - began) / 0.25 + 1


async def test_a_feed_misses_no_change_between_its_snapshot_and_its_updates(gateway: Gateway) -> None:
    ids = [new_id("s") for _ in range(60)]

    async def create() -> None:
        for session_id in ids:
            await gateway.create(session_id)
            await gateway.post(f"/sessions/{session_id}/events", new_event("a"), status=201)

    async def watch(delay: int) -> None:
        await until(lambda: len(gateway.live) >= delay, "some sessions")
        board, sessions = await feed(gateway)
        while not all(sessions.get(each, {}).get("lastSeq") == 1 for each in ids):
            message = await board.next("session")
            sessions[message["session"]["sessionId"]] = message["session"]

    async with asyncio.timeout(SECONDS):
        await asyncio.gather(create(), *(watch(delay) for delay in (0, 1, 7, 20, 35, 50)))


async def test_a_feed_begins_with_at_most_500_sessions_in_memory_or_not(start_gateway: StartGateway) -> None:
    gateway = await start_gateway()
    ids = [f"s{number:04d}" for number in range(520)]
    await asyncio.gather(*(gateway.create(each) for each in ids))
    await asyncio.gather(*(gateway.post(f"/sessions/{each}/complete", {}) for each in ids[:5]))
    await gateway.stop()
    gateway = await start_gateway()
    _, sessions = await feed(gateway)
    assert len(sessions) == 500
    _, completed = await feed(gateway, status=["completed"])
    assert set(completed) == set(ids[:5])


async def test_unsubscribing_ends_a_feed(gateway: Gateway) -> None:
    board, _ = await feed(gateway)
    await board.ask({"type": "unsubscribe", "ref": "f"}, "unsubscribed")
    await gateway.create()
    assert not gateway.parts.feed.subscriptions
    await board.ask(FEED, "subscribed")


async def test_a_slow_feed_gets_the_latest_state_of_each_session_within_its_bound(
    start_gateway: StartGateway,
) -> None:
    bound = 200_000
    gateway = await start_gateway(max_outbox_bytes=bound, feed_interval=0.05)
    metadata = {"text": "x" * 40_000}
    ids = [await gateway.create(metadata=metadata) for _ in range(20)]
    raw = await RawSocket.connect(gateway, "/subscribe", receive_buffer=4096)
    (connection,) = gateway.connections
    await raw.send(FEED)
    sizes: Counter[bool] = Counter()
    for number in range(1, 21):
        for session_id in ids:
            await gateway.post(f"/sessions/{session_id}/events", new_event(f"e{number}"), status=201)
            sizes[connection.outbox.size > bound] += 1
    assert sizes[True] == 0
    assert connection.outbox.unread
    assert (await raw.receive())["type"] == "subscribed"
    last: dict[str, int] = {}
    pushes = 0
    while len(last) < 20 or set(last.values()) != {20}:
        message = await raw.receive()
        found = message["sessions"] if message["type"] == "sessions" else [message["session"]]
        for session in found:
            assert session["metadata"] == metadata
            assert session["lastSeq"] >= last.get(session["sessionId"], 0)
            last[session["sessionId"]] = session["lastSeq"]
        pushes += 1
        assert connection.outbox.size <= bound
    assert pushes < 400
    raw.close()


async def test_the_snapshot_of_a_feed_keeps_within_the_outbox_bound(start_gateway: StartGateway) -> None:
    bound = 300_000
    gateway = await start_gateway(max_outbox_bytes=bound)
    metadata = {"text": "x" * 60_000}
    ids = set(await asyncio.gather(*(gateway.create(metadata=metadata) for _ in range(150))))
    raw = await RawSocket.connect(gateway, "/subscribe", receive_buffer=4096)
    (connection,) = gateway.connections
    await raw.send(FEED)
    await until(lambda: connection.outbox.size > 0, "the outbox to fill")
    await gateway.create("late")
    assert (await raw.receive())["type"] == "subscribed"
    found: list[str] = []
    while len(found) < 150:
        assert connection.outbox.size <= bound
        found += [session["sessionId"] for session in (await raw.receive())["sessions"]]
    assert set(found) == ids
    assert (await raw.receive())["session"]["sessionId"] == "late"  # changes come after the snapshot
    raw.close()


async def test_large_metadata_splits_the_snapshot_of_a_feed(gateway: Gateway) -> None:
    ids = {await gateway.create(metadata={"text": "x" * 60_000}) for _ in range(12)}
    board = await subscriber(gateway)
    await board.ask(FEED, "subscribed")
    found: list[str] = []
    while len(found) < 12:
        sessions = (await board.next("sessions"))["sessions"]
        assert len(sessions) <= 4
        found += [session["sessionId"] for session in sessions]
    assert set(found) == ids

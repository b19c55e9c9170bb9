"""A new publisher takes over: it learns what the old one stored, and nothing of the old one is stored afterwards."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.gateways import Gateway, StartGateway, new_event, new_id
from tests.support.sockets import SECONDS, RawSocket, Socket, publish_path, publisher, subscriber


async def test_a_takeover_closes_the_old_publisher_and_raises_the_epoch(gateway: Gateway) -> None:
    session_id = new_id("s")
    publishers = [await publisher(gateway, session_id) for _ in range(4)]
    assert [each.opened["epoch"] for each in publishers] == [1, 2, 3, 4]
    for old in publishers[:-1]:
        assert await old.close_code() == 4409
    assert await publishers[-1].acked("a") == [1]


async def test_an_old_publisher_that_sends_before_it_reads_still_gets_close_4409(gateway: Gateway) -> None:
    session_id = new_id("s")
    old = await RawSocket.connect(gateway, publish_path(session_id, "en"))
    assert (await old.receive())["type"] == "opened"
    await publisher(gateway, session_id)
    for number in range(5):  # a client loses what it has not read when the connection is reset
        await old.send({"type": "append", "events": [new_event(f"late{number}")]})
        await asyncio.sleep(0.02)
    assert await old.close_code() == 4409
    old.close()


async def test_events_of_the_old_publisher_after_a_takeover_are_neither_stored_nor_acked(gateway: Gateway) -> None:
    session_id = new_id("s")
    old = await publisher(gateway, session_id)
    await old.acked("a")
    new = await publisher(gateway, session_id)
    await old.append("late")
    await old.send({"type": "complete"})
    assert await new.acked("b") == [2]
    messages, code = await old.rest()
    assert (messages, code) == ([], 4409)
    session = await gateway.get(f"/sessions/{session_id}")
    assert [event["eventId"] for event in session["events"]] == ["a", "b"]
    assert session["status"] == "active"


async def test_a_publisher_superseded_during_its_handshake_gets_opened_and_close_4409(gateway: Gateway) -> None:
    session_id = new_id("s")
    async with asyncio.timeout(SECONDS):
        publishers = await asyncio.gather(*(publisher(gateway, session_id) for _ in range(20)))
    publishers.sort(key=lambda each: int(each.opened["epoch"]))
    assert [each.opened["epoch"] for each in publishers] == list(range(1, 21))
    for old in publishers[:-1]:
        assert await old.close_code() == 4409
    assert await publishers[-1].acked("a") == [1]


async def send_until_superseded(bot: Socket, todo: list[str], acked: dict[str, int]) -> int:
    """Send events that are not stored, as a client would, and note the acks. Return the close code."""

    async def send() -> None:
        for event_id in todo:
            await bot.append(event_id)

    sending = asyncio.create_task(send())
    messages, code = await bot.rest()
    sending.cancel()
    await asyncio.wait([sending])
    for message in messages:
        for each in message["acks"]:
            assert acked.setdefault(each["eventId"], each["seq"]) == each["seq"]
    return code


async def test_fifty_takeovers_with_appends_in_flight_leave_a_whole_log(gateway: Gateway) -> None:
    session_id = new_id("s")
    ids = [f"e{n}" for n in range(400)]
    acked: dict[str, int] = {}
    runs: list[asyncio.Task[int]] = []
    board = await subscriber(gateway)
    for _ in range(50):
        bot = await publisher(gateway, session_id)
        if not runs:
            await board.subscribe(session_id, 0)
        last = bot.opened["lastEventId"]
        start = 0 if last is None else ids.index(last) + 1
        assert bot.opened["lastSeq"] == start
        runs.append(asyncio.create_task(send_until_superseded(bot, ids[start:], acked)))
        await asyncio.sleep(0)  # let the old publisher begin
    bot = await publisher(gateway, session_id)
    assert {await run for run in runs} == {4409}
    left = ids[bot.opened["lastSeq"] :]
    for start in range(0, len(left), 100):
        await bot.acked(*left[start : start + 100])
    delivered = await board.events(400)
    assert [event["eventId"] for event in delivered] == ids
    assert all(delivered[seq - 1]["eventId"] == event_id for event_id, seq in acked.items())


# --- two gateways ----------------------------------------------------------------------------------------------------


async def test_a_publisher_that_takes_over_at_another_gateway_learns_of_every_stored_event(
    start_gateway: StartGateway,
) -> None:
    session_id = new_id("s")
    here, there = await start_gateway(), await start_gateway()
    old = await publisher(here, session_id)
    await old.acked("a", "b")
    new = await publisher(there, session_id, language=None)
    assert (new.opened["epoch"], new.opened["lastSeq"], new.opened["lastEventId"]) == (2, 2, "b")
    await old.acked("c")  # no event of the newer publisher is stored yet
    assert await new.acked("d", "c") == [4, 3]
    await old.append("e")
    assert await old.close_code() == 4409
    assert await new.acked("f") == [5]
    events = (await there.get(f"/sessions/{session_id}/events"))["events"]
    assert [event["eventId"] for event in events] == ["a", "b", "c", "d", "f"]


async def test_subscribers_of_the_stale_gateway_get_the_others_events_in_order(start_gateway: StartGateway) -> None:
    session_id = new_id("s")
    here, there = await start_gateway(), await start_gateway()
    old = await publisher(here, session_id)
    board = await subscriber(here)
    await board.subscribe(session_id, 0)
    await old.acked("a")
    new = await publisher(there, session_id, language=None)
    await new.acked(*(f"n{n}" for n in range(120)))
    await old.append("late")
    assert await old.close_code() == 4409
    delivered = await board.events(121)
    assert [event["eventId"] for event in delivered] == ["a", *(f"n{n}" for n in range(120))]


async def test_rest_appends_at_another_gateway_do_not_close_the_publisher(start_gateway: StartGateway) -> None:
    session_id = new_id("s")
    here, there = await start_gateway(), await start_gateway()
    bot = await publisher(here, session_id)
    board = await subscriber(here)
    await board.subscribe(session_id, 0)
    await bot.acked("a")
    await there.post(
        f"/sessions/{session_id}/events", {"events": [new_event("r1"), new_event("r2", {"n": 1})]}, status=201
    )
    await bot.append("b", "r1", new_event("r2", {"n": 2}), "c")
    answers = await bot.answers(4)
    assert [(a["type"], a.get("seq")) for a in answers] == [("ack", 4), ("ack", 2), ("nack", None), ("ack", 5)]
    assert answers[2]["code"] == "event_conflict"
    assert [event["eventId"] for event in await board.events(5)] == ["a", "r1", "r2", "b", "c"]


async def test_rest_appends_beside_a_publisher_form_one_log(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)

    async def by_rest(number: int) -> list[int]:
        seqs = []
        for count in range(10):
            body = {"events": [new_event(f"r{number}-{count}-{n}") for n in range(3)]}
            answer = await gateway.post(f"/sessions/{session_id}/events", body, status=201)
            seqs += [event["seq"] for event in answer["events"]]
            assert seqs[-1] == seqs[-3] + 2
        return seqs

    async def by_socket() -> list[int]:
        for count in range(100):
            await bot.append(f"p{count}")
        return [answer["seq"] for answer in await bot.answers(100)]

    async with asyncio.timeout(SECONDS):
        parts = await asyncio.gather(by_socket(), *(by_rest(number) for number in range(5)))
    assert all(seqs == sorted(seqs) for seqs in parts)
    assert sorted(seq for seqs in parts for seq in seqs) == list(range(1, 251))


async def test_a_publisher_notices_an_end_at_another_gateway(start_gateway: StartGateway) -> None:
    session_id = new_id("s")
    settings: dict[str, Any] = {"end_grace": 0.2, "flush_interval": 0.1}
    here, there = await start_gateway(**settings), await start_gateway(**settings)
    bot = await publisher(here, session_id)
    board = await subscriber(here)
    await board.subscribe(session_id)
    await board.next("caughtUp")
    ended = await there.post(f"/sessions/{session_id}/complete", {"reason": "operator"})
    await bot.append("a", "b")  # in the grace time
    messages, code = await bot.rest()
    assert code == 4410
    assert [
        message["session"] | {"lastSeq": 0, "lastEventAt": None, "status": "completed"} == ended
        for message in messages
        if message["type"] == "completed"
    ] == [True]
    assert [ack["seq"] for message in messages if message["type"] == "ack" for ack in message["acks"]] == [1, 2]
    seen = await board.next_of("session")
    while seen["session"]["status"] != "completed":
        seen = await board.next("session")
    assert (seen["session"]["endedAt"], seen["session"]["endReason"]) == (ended["endedAt"], "operator")
    await here.stop()
    stored = await there.store.sessions.load(session_id)
    assert stored is not None
    assert (stored.status, stored.last_seq) == ("completed", 2)


@pytest.mark.parametrize("reads", ["by time", "by seq"])
async def test_history_is_ordered_when_timestamps_go_back_between_two_gateways(
    start_gateway: StartGateway, reads: str
) -> None:
    session_id = new_id("s")
    here, there = await start_gateway(), await start_gateway()
    bot = await publisher(here, session_id)
    await bot.acked(new_event("a", timestamp="2025-01-01T10:00:00Z"))
    event = new_event("b", timestamp="2025-01-01T12:00:00Z")
    await there.post(f"/sessions/{session_id}/events", event, status=201)
    await bot.acked(new_event("c", timestamp="2025-01-01T11:00:00Z"))  # after a, before b
    for gateway in (here, there, await start_gateway()):
        if reads == "by time":
            events = (await gateway.get(f"/sessions/{session_id}"))["events"]
        else:
            events = (await gateway.get(f"/sessions/{session_id}/events"))["events"]
        if gateway is there and len(events) == 2:
            continue  # this gateway has not heard of the third event, which went to the other one
        assert [each["eventId"] for each in events] == (["a", "c", "b"] if reads == "by time" else ["a", "b", "c"])

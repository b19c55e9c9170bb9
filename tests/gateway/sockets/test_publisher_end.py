"""The end of a session: by its publisher, by REST, and the grace time after it."""

from __future__ import annotations

from tests.support.gateways import Gateway, StartGateway, new_event, new_id
from tests.support.sockets import publisher, subscriber, until


async def test_complete_takes_effect_after_everything_sent_before_it(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    for number in range(20):
        await bot.append(f"a{number}", f"b{number}")
    await bot.send({"type": "complete", "status": "failed", "reason": "line dropped"})
    messages, code = await bot.rest()
    assert code == 1000
    assert sum(len(message["acks"]) for message in messages[:-1]) == 40
    assert messages[-1]["type"] == "completed"
    session = messages[-1]["session"]
    assert (session["status"], session["endReason"], session["lastSeq"]) == ("failed", "line dropped", 40)
    assert session["endedAt"] >= session["startedAt"]
    stored = await gateway.get(f"/sessions/{session_id}")
    assert {field: stored[field] for field in session} == session


async def test_completing_an_ended_session_returns_the_first_end(gateway: Gateway) -> None:
    session_id = new_id("s")
    first = await (await publisher(gateway, session_id)).ask({"type": "complete", "reason": "done"}, "completed")
    again = await (await publisher(gateway, session_id)).ask({"type": "complete", "status": "failed"}, "completed")
    assert first == again
    by_rest = await gateway.post(f"/sessions/{session_id}/complete", {"status": "failed"})
    assert by_rest == first["session"]


async def test_concurrent_ends_by_publisher_and_rest_are_one_end(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    await bot.send({"type": "complete", "reason": "a"})
    by_rest = await gateway.post(f"/sessions/{session_id}/complete", {"reason": "b"})
    completed = await bot.next_of("completed")
    assert completed["session"]["endedAt"] == by_rest["endedAt"]
    assert completed["session"]["endReason"] == by_rest["endReason"]


async def test_a_publisher_may_send_for_the_grace_time_after_an_end_by_rest(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(end_grace=0.5)
    session_id = new_id("s")
    bot = await publisher(gateway, session_id)
    await bot.acked("a")
    ended = await gateway.post(f"/sessions/{session_id}/complete", {})
    assert (await bot.next("completed"))["session"] == ended
    assert await bot.acked("b") == [2]
    assert await bot.close_code() == 4410
    session = await gateway.get(f"/sessions/{session_id}")
    assert (session["status"], session["endedAt"], session["lastSeq"]) == ("completed", ended["endedAt"], 2)


async def test_a_publisher_may_connect_in_the_grace_time(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(end_grace=0.5)
    session_id = await gateway.create()
    await gateway.post(f"/sessions/{session_id}/complete", {})
    bot = await publisher(gateway, session_id)
    assert bot.opened["session"]["status"] == "completed"
    assert await bot.acked("a") == [1]
    assert await bot.close_code() == 4410


async def test_a_publisher_that_connects_after_the_grace_time_gets_opened_and_is_closed(
    start_gateway: StartGateway,
) -> None:
    gateway = await start_gateway(end_grace=0.1)
    session_id = await gateway.create()
    await gateway.fill(session_id, 3)
    await gateway.post(f"/sessions/{session_id}/complete", {})
    live = gateway.live[session_id]
    await until(lambda: not live.state.takes_events, "the end of the grace time")
    for _ in range(2):  # the same if the session is read from the store
        bot = await publisher(gateway, session_id)
        assert (bot.opened["lastSeq"], bot.opened["lastEventId"]) == (3, "e3")
        assert bot.opened["session"]["status"] == "completed"
        assert await bot.close_code() == 4410
        await gateway.stop()
        gateway = await start_gateway(end_grace=0.1)


async def test_after_the_grace_time_rest_answers_stored_events_and_refuses_new_ones(
    start_gateway: StartGateway,
) -> None:
    gateway = await start_gateway(end_grace=0)
    session_id = await gateway.create()
    stored = await gateway.fill(session_id, 2)
    await gateway.post(f"/sessions/{session_id}/complete", {})
    path = f"/sessions/{session_id}/events"
    again = await gateway.post(path, {"events": [new_event("e2", {"n": 2}), new_event("e1", {"n": 1})]}, status=201)
    assert again["events"] == [stored[1], stored[0]]
    for new in (["x"], ["e1", "x"], ["x", "e1", "y"]):
        envelope = await gateway.refused("POST", path, 409, json={"events": [new_event(each) for each in new]})
        assert envelope["code"] == "session_ended"
    assert (await gateway.get(f"/sessions/{session_id}"))["lastSeq"] == 2


async def test_the_grace_time_is_counted_from_the_end_across_a_restart(start_gateway: StartGateway) -> None:
    session_id = new_id("s")
    gateway = await start_gateway()
    bot = await publisher(gateway, session_id)
    await bot.ask({"type": "complete"}, "completed")
    await gateway.stop()
    within = await start_gateway(end_grace=60)
    assert await (await publisher(within, session_id)).acked("a") == [1]
    await within.stop()
    after = await start_gateway(end_grace=0.001)
    assert await (await publisher(after, session_id)).close_code() == 4410


async def test_an_event_in_the_grace_time_reaches_subscribers(gateway: Gateway) -> None:
    session_id = new_id("s")
    bot, board = await publisher(gateway, session_id), await subscriber(gateway)
    await board.subscribe(session_id)
    await board.next("caughtUp")
    await gateway.post(f"/sessions/{session_id}/complete", {})
    assert (await board.next("session"))["session"]["status"] == "completed"
    await bot.next("completed")
    await bot.acked("late")
    assert [event["eventId"] for event in (await board.next("events"))["events"]] == ["late"]
    assert (await gateway.get(f"/sessions/{session_id}"))["status"] == "completed"

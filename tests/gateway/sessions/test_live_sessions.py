"""Sessions enter memory when needed and leave it when not, and no client notices."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Iterable

import pytest

from tests.support.gateways import Gateway, StartGateway, new_event, new_id
from tests.support.sockets import publisher, subscriber, until
from turnwire.protocol import rules
from turnwire.protocol.messages import EventIn


async def test_an_unused_session_is_evicted_and_comes_back_as_it_was(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(idle_evict=0.1, flush_interval=0.05)
    session_id = await gateway.create(metadata={"a": 1})
    await gateway.fill(session_id, 3)
    before = await gateway.get(f"/sessions/{session_id}")
    await until(lambda: session_id not in gateway.live, "the eviction")
    after = await gateway.get(f"/sessions/{session_id}")
    assert {**after, "figures": None} == {**before, "figures": None}  # figures of an open session are only in memory
    again = await gateway.post(
        f"/sessions/{session_id}/events", {"events": [new_event("e2", {"n": 2}), new_event("x")]}, status=201
    )
    assert [event["seq"] for event in again["events"]] == [2, 4]


async def test_a_session_in_use_is_not_evicted(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(idle_evict=0.1, flush_interval=0.05)
    published, watched, unused = new_id("s"), await gateway.create(), await gateway.create()
    bot, board = await publisher(gateway, published), await subscriber(gateway)
    await board.subscribe(watched)
    lives = gateway.live[published], gateway.live[watched]
    await until(lambda: unused not in gateway.live, "an eviction")
    assert (gateway.live.get(published), gateway.live.get(watched)) == lives
    await board.ask({"type": "unsubscribe", "ref": "r"}, "caughtUp")
    await until(lambda: watched not in gateway.live, "its eviction")
    await bot.close()
    await gateway.post(f"/sessions/{published}/complete", {})
    await until(lambda: published not in gateway.live, "the eviction of the ended one")


async def test_memory_full_of_sessions_in_use_refuses_further_sessions(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_live_sessions=2)
    bots = [await publisher(gateway, new_id("s")) for _ in range(2)]
    envelope = await gateway.refused("POST", "/sessions", 503, json={"language": "en"})
    assert envelope["code"] == "overloaded"
    assert "2" in envelope["message"]
    assert await bots[0].acked("a") == [1]


async def test_full_memory_evicts_unused_sessions(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_live_sessions=3)
    ids = [await gateway.create() for _ in range(20)]
    assert len(gateway.live) == 3
    board = await subscriber(gateway)
    for session_id in ids:
        await board.subscribe(session_id, 0, ref="r")
        await board.next("caughtUp")
        await gateway.post(f"/sessions/{session_id}/events", new_event("a"), status=201)
        await board.events(1)
        await board.next("session")
        await board.ask({"type": "unsubscribe", "ref": "r"}, "unsubscribed")
        await gateway.parts.lazy_fields.flush()
    assert len(gateway.live) <= 3


async def test_a_crash_before_the_lazy_fields_are_written_loses_nothing(start_gateway: StartGateway) -> None:
    first = await start_gateway(flush_interval=60)
    session_id = await first.create()
    await first.fill(session_id, 120)
    second = await start_gateway()  # as after a crash: no field has been written
    session = await second.get(f"/sessions/{session_id}")
    assert (session["status"], session["lastSeq"], session["pagination"]["total"]) == ("active", 120, 120)
    assert [each["sessionId"] for each in (await first.get("/sessions?status=active"))["sessions"]] == [session_id]


def few_digests(event_ids: Iterable[str]) -> array[int]:
    return array("Q", [sum(each.encode()) % 40 for each in event_ids])


@pytest.mark.parametrize("collide", [False, True])
async def test_a_reopened_long_session_knows_all_its_eventids(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch, collide: bool
) -> None:
    if collide:  # few digests for all ids, so that every lookup has many candidates
        monkeypatch.setattr(rules, "event_digests", few_digests)
    gateway = await start_gateway()
    session_id = await gateway.create()
    await gateway.fill(session_id, 2500)
    await gateway.stop()
    gateway = await start_gateway()
    stored = await gateway.store.sessions.load(session_id)
    assert stored is not None
    assert len(await gateway.store.events.digests.load(session_id, 2500, stored.life)) == 2
    bot = await publisher(gateway, session_id)
    known = [1, 2, 999, 1000, 1001, 1999, 2000, 2001, 2500]
    await bot.append(*(new_event(f"e{n}", {"n": n}) for n in known), new_event("e7", {"n": "7"}), "new1")
    answers = await bot.answers(len(known) + 2)
    assert [(a["type"], a["seq"], a["duplicate"]) for a in answers[:-2]] == [("ack", n, True) for n in known]
    assert answers[-2]["code"] == "event_conflict"
    assert answers[-1] == {"type": "ack", "eventId": "new1", "seq": 2501}


async def test_history_by_time_differs_from_seq_order_across_digest_pages(start_gateway: StartGateway) -> None:
    gateway = await start_gateway()
    session_id = await gateway.create()
    count = 1050
    for first in range(0, count, 350):
        events = [
            new_event(f"e{n}", timestamp=f"2025-01-01T{(n * 7) % 24:02}:{n % 60:02}:00Z")
            for n in range(first, first + 350)
        ]
        await gateway.post(f"/sessions/{session_id}/events", {"events": events}, status=201)
    await gateway.parts.lazy_fields.flush()
    log = [
        event for seq in range(1, count + 1, 50) for event in await gateway.store.events.read(session_id, seq, seq + 49)
    ]
    expected = [event.seq for event in sorted(log, key=lambda event: (event.timestamp, event.seq))]
    page = (await gateway.get(f"/sessions/{session_id}?page=4&limit=100"))["events"]
    assert [event["seq"] for event in page] == expected[300:400]


async def test_a_document_the_database_refuses_fails_only_its_own_request(gateway: Gateway) -> None:
    """If a payload that BSON cannot hold slips through the checks, it fails alone."""
    session_id, other = await gateway.create(), await gateway.create()
    poison = EventIn("poison", "system", {"n": 2**64})
    results = await asyncio.gather(
        gateway.parts.requests.append(session_id, [EventIn("a", "system", {}), poison, EventIn("b", "system", {})], 50),
        gateway.parts.requests.append(session_id, [EventIn("c", "system", {})], 50),
        gateway.parts.requests.append(other, [EventIn("d", "system", {})], 50),
        return_exceptions=True,
    )
    assert "cannot be stored" in str(results[0])
    assert not isinstance(results[1], BaseException)
    assert not isinstance(results[2], BaseException)
    events = (await gateway.get(f"/sessions/{session_id}/events"))["events"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert "poison" not in {event["eventId"] for event in events}
    assert await (await publisher(gateway, session_id)).acked("after") == [len(events) + 1]

"""Endpoints are told of sessions: in order, at least once, across crashes and gateways, and only of what they want."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.gateway.webhooks.in_memory.conftest import Tell
from tests.gateway.webhooks.in_memory.receivers import Receiver
from tests.support.faults.database import MemoryDatabase
from tests.support.in_memory import MemoryGateway, event, pass_time, record, until, virtual_now
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.webhooks import round, schedule
from turnwire.gateway.webhooks.registry import NoSuchWebhook
from turnwire.gateway.webhooks.schedule import HOUR
from turnwire.gateway.webhooks.sending import NotTaken
from turnwire.protocol.errors import InvalidMessage, Overloaded
from turnwire.protocol.messages import EventIn
from turnwire.protocol.telling.shapes import AmendWebhook, NewWebhook
from turnwire.protocol.times import format_time, parse_time
from turnwire.store.telling.progress import Begun

Json = Any
_ALL = ["session.created", "e1", "e2", "session.completed"]


async def begin(gateway: MemoryGateway, session_id: str = "s", *events: EventIn) -> LiveSession:
    """Create a session now, by the wall clock."""
    new = record(session_id)
    new.started_at = virtual_now()
    live, _ = await gateway.sessions.create(new)
    if events:
        await gateway.append(live, *events)
    return live


def system(event_id: str, name: str) -> EventIn:
    return EventIn(event_id, "system", {"event": name})


async def call(gateway: MemoryGateway, session_id: str = "s") -> None:
    """A whole call of two events."""
    await gateway.end(await begin(gateway, session_id, event("e1"), event("e2")))


def refuses(*session_ids: str) -> Any:
    return lambda body: NotTaken("it answered 500") if body["data"]["sessionId"] in session_ids else None


async def test_an_endpoint_is_told_of_a_session_in_order_with_the_session_and_the_event(
    tell: Tell, receiver: Receiver
) -> None:
    here, teller = tell()
    await teller.add("*")
    await call(here)
    await until(lambda: receiver.told() == _ALL)
    (_, first), (_, second), _, (_, last) = receiver.taken
    assert first["data"]["session"]["sessionId"] == "s"
    assert (second["type"], second["data"]["event"]["seq"]) == ("user_speech", 1)
    assert second["timestamp"] == second["data"]["event"]["timestamp"]
    assert last["timestamp"] == last["data"]["session"]["endedAt"]
    assert "event" not in last["data"]
    assert len({message_id for message_id, _ in receiver.taken}) == 4


async def test_only_the_types_that_are_wanted_are_sent(tell: Tell, receiver: Receiver) -> None:
    here, teller = tell()
    await teller.add("session.failed", "tool.failed", "call.analysis")
    sent = [event("e1"), system("e2", "tool.failed"), system("e3", "tool.completed"), system("e4", "call.analysis")]
    await here.end(await begin(here, "s", *sent), "failed")
    await call(here, "fine")
    await until(lambda: receiver.told() == ["e2", "e4", "session.failed"])
    await pass_time(10)
    assert receiver.told("fine") == []


async def test_without_an_endpoint_nobody_listens_to_sessions(tell: Tell, receiver: Receiver) -> None:
    here, teller = tell()
    await pass_time(120)
    assert here.parts.feed.subscriptions == set()
    await teller.add("*")
    assert here.parts.feed.subscriptions == {teller.webhooks}
    await teller.registry.remove("hook")
    await until(lambda: here.parts.feed.subscriptions == set())


async def test_a_message_that_fails_holds_back_its_own_session_only_and_is_sent_again_after_5_s(
    tell: Tell, receiver: Receiver
) -> None:
    here, teller = tell()
    await teller.add("*")
    receiver.refuses = refuses("s")
    await call(here, "s")
    await call(here, "other")
    await until(lambda: receiver.told("other") == _ALL)
    await until(lambda: len([at for at, session in receiver.attempts if session == "s"]) == 2)
    first, second = [at for at, session in receiver.attempts if session == "s"]
    assert 5 <= second - first <= 6.5
    receiver.refuses = lambda body: None
    await until(lambda: receiver.told("s") == _ALL)


async def test_after_the_last_attempt_the_endpoint_is_disabled_and_says_so_and_continues_when_enabled(
    tell: Tell, receiver: Receiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (schedule, round):
        monkeypatch.setattr(module, "GIVE_UP_AFTER", HOUR)
    here, teller = tell()
    await teller.add("*")
    receiver.refuses = lambda body: NotTaken("it answered 500")
    await call(here)
    await pass_time(HOUR - 60)
    assert (await teller.registry.get("hook")).state == "active"
    await pass_time(120)
    shown = await teller.registry.get("hook")
    assert (shown.state, shown.disabled_reason) == ("disabled", "a message was not accepted for 1 h: it answered 500")
    assert shown.last_error is not None
    assert shown.last_error.endswith("it answered 500")
    assert "webhook hook" in caplog.text
    assert "is disabled" in caplog.text
    await pass_time(1)
    assert (teller.counts.disabled, teller.webhooks.disabled) == (1, 1)
    attempts = len(receiver.attempts)
    await call(here, "later")
    await pass_time(HOUR)
    assert len(receiver.attempts) == attempts
    receiver.refuses = lambda body: None
    await teller.registry.amend("hook", AmendWebhook(enabled=True))
    await until(lambda: receiver.told() == receiver.told("later") == _ALL)


async def test_an_endpoint_that_is_gone_is_disabled_at_once(tell: Tell, receiver: Receiver) -> None:
    here, teller = tell()
    await teller.add("*")
    receiver.refuses = lambda body: NotTaken("it answered 410", gone=True)
    await call(here)
    await pass_time(5)
    assert (await teller.registry.get("hook")).disabled_reason == "it answered 410"


async def test_kill_9_loses_no_message_wherever_it_strikes(tell: Tell, receiver: Receiver) -> None:
    here, teller = tell()
    await teller.add("*")
    receiver.refuses = refuses("failing")
    await call(here, "told")
    await call(here, "failing")
    await pass_time(130)
    open_one = await begin(here, "open", event("e1"))
    await pass_time(15)
    await here.append(open_one, event("e2"))
    await call(here, "new")
    before = list(receiver.taken)
    await teller.kill()
    assert "new" not in {body["data"]["sessionId"] for _, body in before}, "killed before it was told"

    receiver.refuses = lambda body: None
    back, again = tell()
    await until(lambda: receiver.told("new") == receiver.told("failing") == _ALL)
    await back.end(await back.open("open"))
    await until(lambda: receiver.told("open")[-1:] == ["session.completed"])
    assert list(dict.fromkeys(receiver.told("open"))) == _ALL
    assert receiver.told("told") == _ALL, "what was written as told is not sent again"
    ids = [message_id for message_id, body in receiver.taken if body["data"]["sessionId"] == "open"]
    assert len(set(ids)) == 4, "a message that is sent again has the same id"
    await again.stop()


@pytest.mark.parametrize("write", range(0, 12, 2))
async def test_a_gateway_that_dies_between_any_two_writes_of_progress_loses_no_message(
    tell: Tell, receiver: Receiver, write: int
) -> None:
    here, teller = tell()
    await teller.add("*")
    calls = [f"c{number}" for number in range(4)]
    for each in calls:
        await call(here, each)
    here.line.cut_before(write)
    await pass_time(200)
    await teller.kill()
    tell()
    await until(lambda: all(list(dict.fromkeys(receiver.told(each))) == _ALL for each in calls))


async def test_late_events_of_an_ended_session_are_told_after_its_end(tell: Tell, receiver: Receiver) -> None:
    here, teller = tell()
    await teller.add("*")
    live = await begin(here, "s", event("e1"), event("e2"))
    await here.end(live)
    await until(lambda: receiver.told() == _ALL)
    await here.append(live, event("e3"))
    await until(lambda: receiver.told() == [*_ALL, "e3"])


async def test_nothing_is_kept_of_a_session_that_has_been_told_to_its_end(
    tell: Tell, receiver: Receiver, database: MemoryDatabase
) -> None:
    here, teller = tell()
    await teller.add("session.completed")
    await call(here)
    await pass_time(20)
    assert len(database.majority["webhookProgress"]) == 1
    await pass_time(300)
    assert database.majority["webhookProgress"] == {}
    await teller.stop()
    tell()
    await pass_time(100)
    assert receiver.told() == ["session.completed"]


async def test_events_from_before_the_endpoint_was_added_are_not_told(tell: Tell, receiver: Receiver) -> None:
    here, teller = tell()
    await call(here, "past")
    running = await begin(here, "running", event("e1"))
    await pass_time(60)
    await teller.add("*")
    await here.append(running, event("e2"))
    await here.end(running)
    await until(lambda: receiver.told("running") == ["e2", "session.completed"])
    assert receiver.told("past") == []


async def test_a_replay_sends_all_since_a_time_again_with_the_same_ids(tell: Tell, receiver: Receiver) -> None:
    here, teller = tell()
    await teller.add("*")
    await call(here, "early")
    await pass_time(3600)
    since = format_time(virtual_now())
    await call(here, "late")
    await pass_time(400)
    before = list(receiver.taken)
    receiver.taken.clear()
    await teller.registry.replay("hook", since)
    await until(lambda: receiver.told("late") == _ALL)
    await pass_time(100)
    assert [message_id for message_id, _ in receiver.taken] == [message_id for message_id, _ in before[4:]]


async def long_call(gateway: MemoryGateway, session_id: str, days: int) -> LiveSession:
    """A call that began so many days ago, with one event."""
    new = record(session_id)
    new.started_at = virtual_now() - timedelta(days=days)
    live, _ = await gateway.sessions.create(new)
    await gateway.append(live, event("e1"))
    return live


async def test_a_replay_finds_what_has_happened_in_calls_that_began_days_before(tell: Tell, receiver: Receiver) -> None:
    here, teller = tell()
    live = await long_call(here, "long", 20)
    await pass_time(10)
    since = format_time(virtual_now())
    await here.append(live, event("e2"))
    await here.end(live)
    await teller.add("*")
    await pass_time(200)
    assert receiver.taken == []
    await teller.registry.replay("hook", since)
    await until(lambda: receiver.told("long") == ["e2", "session.completed"])


async def test_a_search_that_takes_long_tells_what_it_has_found_meanwhile(
    tell: Tell, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, teller = tell()
    since = format_time(virtual_now())
    for name, days in (("early", 25), ("late", 1)):
        await here.end(await long_call(here, name, days))
    await teller.add("session.completed")
    begun = here.store.webhook_progress.begun

    async def slow(since: datetime, before: datetime) -> list[Begun]:
        await pass_time(0.5)
        return await begun(since, before)

    monkeypatch.setattr(here.store.webhook_progress, "begun", slow)
    told_until = [parse_time((await teller.registry.replay("hook", since)).told_until)]
    told_until.append(parse_time((await teller.registry.get("hook")).told_until))
    await until(lambda: receiver.told("early") == ["session.completed"])
    assert receiver.told("late") == []
    told_until.append(parse_time((await teller.registry.get("hook")).told_until))
    await until(lambda: receiver.told("late") == ["session.completed"])
    await pass_time(30)
    told_until.append(parse_time((await teller.registry.get("hook")).told_until))
    behind = [(parse_time(since) - moment).days for moment in told_until]
    assert behind[:2] == [30, 30]
    assert 30 > behind[2] > 0 > behind[3]


async def test_a_session_that_began_before_the_endpoint_was_added_and_is_created_now_is_new(
    tell: Tell, receiver: Receiver
) -> None:
    here, teller = tell()
    await pass_time(3600)
    await teller.add("*")
    began = virtual_now() - timedelta(seconds=1800)
    await here.requests.create(session_id="s", language="en", metadata={}, status="initiated", started_at=began)
    at = EventIn("e1", "user_speech", {}, began)
    await here.append(await here.open("s"), at)
    await until(lambda: receiver.told() == ["session.created", "e1"])
    assert receiver.taken[0][1]["timestamp"] == format_time(began)


async def test_webhooks_are_told_nothing_more_of_an_erased_session(
    tell: Tell, receiver: Receiver, database: MemoryDatabase
) -> None:
    here, teller = tell()
    await teller.add("*")
    receiver.refuses = refuses("s")
    await call(here)
    await pass_time(2)
    assert len(database.majority["webhookProgress"]) == 1
    await here.parts.erasing.erase("s", force=True)
    await pass_time(3)
    assert database.majority["webhookProgress"] == {}
    receiver.refuses = lambda body: None
    await call(here)
    await until(lambda: receiver.told() == _ALL)


async def test_more_sessions_than_are_kept_in_memory_wait_in_the_store(tell: Tell, receiver: Receiver) -> None:
    here, teller = tell(most_sessions=3)
    await teller.add("session.completed")
    receiver.refuses = lambda body: NotTaken("it answered 500")
    calls = [f"c{number}" for number in range(10)]
    for each in calls:
        await call(here, each)
        await pass_time(1)
    assert teller.webhooks.waiting <= 3
    receiver.refuses = lambda body: None
    async with asyncio.timeout(3600):
        while not all(receiver.told(each) for each in calls):
            await asyncio.sleep(1)
    assert [receiver.told(each) for each in calls] == [["session.completed"]] * 10


async def test_of_two_gateways_one_tells_and_the_other_takes_over_when_it_is_gone(
    tell: Tell, receiver: Receiver
) -> None:
    here, teller = tell(alone=False)
    there, _ = tell(alone=False)
    await teller.add("*")
    await call(here, "one")
    await call(there, "two")
    await until(lambda: receiver.told("one") == receiver.told("two") == _ALL)
    await pass_time(3)
    await teller.kill()
    await call(there, "three")
    await until(lambda: receiver.told("three") == _ALL)
    await pass_time(60)
    assert receiver.told("one") == receiver.told("two") == _ALL


async def test_a_rotated_secret_signs_next_to_the_older_one_for_a_while(tell: Tell, receiver: Receiver) -> None:
    here, teller = tell()
    first = await teller.add("session.created")
    second = getattr(await teller.registry.rotate("hook", 60), "secret", "")
    await pass_time(6)
    await begin(here, "during")
    await until(lambda: receiver.told("during") == ["session.created"])
    await pass_time(60)
    await begin(here, "after")
    await until(lambda: receiver.told("after") == ["session.created"])
    assert receiver.secrets == [[second, first], [second]]


async def test_imported_calls_are_not_sent_to_webhooks(tell: Tell, receiver: Receiver) -> None:
    here, teller = tell()
    await teller.add("*")
    past = record("past", importing=True)
    past.started_at = virtual_now() - timedelta(seconds=1)
    live, _ = await here.sessions.create(past)
    await here.append(live, event("e1"))
    await teller.stop()
    tell()
    await pass_time(60)
    assert receiver.told("past") == []


async def test_a_gateway_that_serves_no_endpoint_stops_without_asking_the_database(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, teller = tell()
    asked = list[None]()
    monkeypatch.setattr(here.store.webhooks, "all", lambda: asked.append(None))
    await teller.webhooks.stop()
    assert not asked


async def test_an_endpoint_is_added_once_and_no_more_than_there_may_be(tell: Tell) -> None:
    _, teller = tell()
    assert await teller.add("error")
    again = NewWebhook(url="https://example.com/other", events=["*"], webhook_id="hook")
    known, created = await teller.registry.add(again)
    assert (known.url, created, hasattr(known, "secret")) == ("https://example.com/hook", False, False)
    await teller.add("error", webhook_id="second")
    with pytest.raises(Overloaded):
        await teller.registry.add(NewWebhook(url="https://example.com/", events=["*"]))
    with pytest.raises(InvalidMessage):
        await teller.registry.replay("hook", "yesterday")
    with pytest.raises(NoSuchWebhook):
        await teller.registry.get("third")

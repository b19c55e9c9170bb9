"""Past calls come in as they were, once, whatever is cut short on the way."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest

from tests.support.faults.database import MemoryDatabase
from tests.support.in_memory import MemoryGateway, Seat, event, pass_time
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.importing.importer import Importer
from turnwire.gateway.importing.lines import Lines
from turnwire.gateway.watching.feed import Change
from turnwire.protocol.messages import SessionStatus
from turnwire.protocol.past_calls.lines import ImportOutcome

Json = Any


def past_event(number: int, **fields: Json) -> Json:
    timestamp = f"2024-05-01T10:00:{number % 60:02}.000Z"
    return {"eventId": f"e{number}", "type": "user_speech", "payload": {"n": number}, "timestamp": timestamp, **fields}


def past_call(count: int = 3, **fields: Json) -> Json:
    return {
        "sessionId": "s",
        "status": "completed",
        "language": "en",
        "startedAt": "2024-05-01T10:00:00.000Z",
        "endedAt": "2024-05-01T10:01:00.000Z",
        "endReason": "hangup",
        "metadata": {"customerId": "c-1"},
        "events": [past_event(n) for n in range(1, count + 1)],
        **fields,
    }


async def bring(
    gateway: MemoryGateway, *calls: Json, keep_open: bool = False, verify: bool = False, most_whole: int = 1_000_000
) -> list[ImportOutcome]:
    sent = b"".join(json.dumps(call).encode() + b"\n" for call in calls)
    chunks = [sent[at : at + most_whole] for at in range(0, len(sent), most_whole)]

    async def read() -> bytes:
        return chunks.pop(0) if chunks else b""

    importer = Importer(gateway.context, gateway.sessions, gateway.requests)
    lines = Lines(read, most_whole=most_whole, most_element=1000)
    outcomes = []
    while line := await lines.next():
        outcomes.append(await importer.take(line, keep_open=keep_open, verify=verify))
    return outcomes


async def result(gateway: MemoryGateway, call: Json, **options: Any) -> str:
    (outcome,) = await bring(gateway, call, **options)
    return outcome.result


async def said(gateway: MemoryGateway, call: Json, **options: Any) -> tuple[str, str]:
    (outcome,) = await bring(gateway, call, **options)
    assert outcome.message is not None
    return outcome.result, outcome.message


async def test_a_past_call_is_stored_as_it_was(here: MemoryGateway) -> None:
    (outcome,) = await bring(here, past_call(250))
    assert outcome == ImportOutcome(1, "s", "imported", 250)
    view = await here.requests.view("s")
    session = view.session
    assert (session.status, session.end_reason, session.last_seq) == ("completed", "hangup", 250)
    assert (session.started_at, session.ended_at) == ("2024-05-01T10:00:00.000Z", "2024-05-01T10:01:00.000Z")
    assert session.metadata == {"customerId": "c-1"}
    stored = await here.store.events.read("s", 1, 250, view.life)
    assert [each.event_id for each in stored] == [f"e{n}" for n in range(1, 251)]
    assert [each.timestamp for each in stored] == [past_event(n)["timestamp"] for n in range(1, 251)]
    record = await here.stored()
    assert (record.importing, record.figures is not None) == (False, True)
    assert "s" not in here.live


async def test_a_call_that_is_stored_already_is_left_as_it_is(here: MemoryGateway, there: MemoryGateway) -> None:
    call = past_call()
    outcomes = await bring(here, call, call)
    assert [each.result for each in outcomes] == ["imported", "unchanged"]
    assert await result(there, call) == "unchanged"
    assert await result(there, {**call, "lastSeq": 3, "figures": None}) == "unchanged"  # as an export has it


@pytest.mark.parametrize(
    ("change", "differs_in"),
    [
        ({"startedAt": "2024-05-01T09:00:00.000Z"}, "startedAt"),
        ({"language": "de"}, "language"),
        ({"metadata": {"customerId": 1}}, "metadata"),
        ({"status": "failed"}, "status"),
        ({"endReason": None}, "endReason"),
        ({"endedAt": "2024-05-01T10:01:00.001Z"}, "endedAt"),
        ({"events": [past_event(1), past_event(2)]}, "it has 3 events, and the line has 2"),
        ({"events": [past_event(n) for n in range(1, 5)]}, "it has 3 events, and the line has more"),
        ({"events": [past_event(1), past_event(3), past_event(2)]}, "event 2 is 'e2'"),
        ({"events": [past_event(1), past_event(2), past_event(3, payload={"n": 3.0})]}, "'e3', has another type"),
        ({"events": [past_event(1), past_event(2), past_event(3, timestamp="2024-05-01T00:00:00Z")]}, "timestamp"),
    ],
)
async def test_a_different_call_of_this_id_is_reported(here: MemoryGateway, change: Json, differs_in: str) -> None:
    call = past_call()
    await bring(here, call)
    for verify in (False, True):
        outcome, text = await said(here, {**call, **change}, verify=verify)
        assert outcome == "different"
        assert differs_in in text
    assert await result(here, call, verify=True) == "unchanged"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"endedAt": "2024-05-01T09:59:59.999Z"}, "endedAt must not be before startedAt"),
        ({"status": "active"}, "endedAt needs the status completed or failed, not active"),
        ({"status": "initiated", "endedAt": None}, "endReason needs the status"),
        ({"startedAt": "2999-01-01T00:00:00Z", "endedAt": None}, "startedAt must not be in the future"),
        ({"endedAt": "2999-01-01T00:00:00Z"}, "endedAt must not be in the future"),
        ({"events": [past_event(1), past_event(2, timestamp="2999-01-01T00:00:00Z")]}, "events[1]: timestamp must not"),
        ({"events": [past_event(1), {**past_event(2), "timestamp": None}]}, "events[1]: timestamp is missing"),
        ({"events": [past_event(1), past_event(2, type="song")]}, "events[1]: "),
        ({"events": [past_event(1), past_event(1)]}, "eventId 'e1' is in the line twice"),
        ({"sessionId": ".."}, "sessionId"),
        ({"startedAt": None}, "startedAt"),
        ({"endReason": ""}, "endReason must have 1 to 256 characters"),
    ],
)
async def test_a_call_that_cannot_have_been_is_refused_and_nothing_of_it_stored(
    here: MemoryGateway, database: MemoryDatabase, change: Json, fault: str
) -> None:
    refused, text = await said(here, {**past_call(), **change})
    assert refused == "refused"
    assert fault in text
    assert not any(database.primary.values())


async def test_a_long_line_that_is_refused_says_what_of_it_is_stored(here: MemoryGateway) -> None:
    call = past_call(400)
    call["events"][399]["type"] = "song"
    refused, text = await said(here, call, most_whole=1000)
    assert refused == "refused"
    assert text.endswith("what comes before it is in an open session, which the corrected line completes")
    assert await result(here, past_call(400), most_whole=1000) == "imported"
    assert "open session" not in (await said(here, call, most_whole=1000))[1]


async def test_events_may_be_null_as_every_field_that_may_be_left_out(here: MemoryGateway) -> None:
    (outcome,) = await bring(here, past_call(events=None))
    assert (outcome.result, outcome.events) == ("imported", 0)


async def test_a_call_that_never_ended_comes_in_as_failed(here: MemoryGateway) -> None:
    call = past_call(status="active", endedAt=None, endReason=None)
    assert [await result(here, call), await result(here, call)] == ["imported", "unchanged"]
    session = (await here.requests.view("s")).session
    assert (session.status, session.end_reason, session.ended_at) == ("failed", "imported", "2024-05-01T10:00:03.000Z")


async def test_an_end_without_a_time_is_that_of_the_last_event(here: MemoryGateway) -> None:
    await bring(here, past_call(endedAt=None), past_call(0, sessionId="empty", endedAt=None))
    assert (await here.requests.view("s")).session.ended_at == "2024-05-01T10:00:03.000Z"
    assert (await here.requests.view("empty")).session.ended_at == "2024-05-01T10:00:00.000Z"


async def test_a_call_kept_open_stays_open_and_may_be_completed_by_a_later_import(join: StartMemory) -> None:
    begun = past_call(2, status="active", endedAt=None, endReason=None)
    first, second = join(), join()
    assert [await result(first, begun, keep_open=True) for _ in range(2)] == ["imported", "unchanged"]
    await first.parts.lazy_fields.flush()
    second.start()
    await pass_time(100)  # a session of this age expires otherwise
    assert (await second.requests.view("s")).session.status == "active"
    assert await result(second, past_call()) == "imported"
    assert (await second.requests.view("s")).session.status == "completed"


async def test_a_call_kept_open_that_a_bot_has_published_here_may_expire(join: StartMemory) -> None:
    first, second = join(), join()
    await bring(first, past_call(2, status="active", endedAt=None, endReason=None), keep_open=True)
    await first.claim(await first.open("s"), Seat())
    await first.parts.lazy_fields.flush()
    await first.stop()
    second.start()
    await pass_time(100)
    assert (await second.requests.view("s")).session.end_reason == "expired"


async def test_a_call_that_a_bot_publishes_here_is_left_alone(here: MemoryGateway) -> None:
    live = await here.create("s", event("e1"))
    await here.claim(live, Seat())
    started_at = (await here.requests.view("s")).session.started_at
    call = past_call(metadata={}, startedAt=started_at, endedAt=None, status="active", endReason=None)
    outcome, text = await said(here, call)
    assert outcome == "different"
    assert "a publisher has claimed it" in text
    assert await here.log() == ["e1"]


class Listener:
    """A subscription to the feed that keeps the statuses it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def offer(self, change: Change, statuses: set[SessionStatus]) -> None:
        self.told.append(change.session.status)

    def erased(self, session_id: str) -> None:
        raise AssertionError("nothing is erased")

    def push(self) -> None:
        """Nothing waits here."""


async def test_the_feed_tells_of_a_past_call_only_when_a_bot_claims_it(here: MemoryGateway) -> None:
    feed, listener = here.parts.feed, Listener()
    feed.subscriptions.add(listener)
    await bring(here, past_call(sessionId="ended"), keep_open=True)
    await bring(here, past_call(status="active", endedAt=None, endReason=None), keep_open=True)
    await feed.tick()
    assert listener.told == []
    live = await here.open("s")
    await here.claim(live)
    await here.append(live, event("next"))
    await feed.tick()
    assert listener.told == ["active"]


async def test_a_missing_call_is_only_reported_when_asked_to_verify(
    here: MemoryGateway, database: MemoryDatabase
) -> None:
    assert await result(here, past_call(), verify=True) == "missing"
    assert not any(database.primary.values())


@pytest.mark.parametrize("most_whole", [1_000_000, 1000])
@pytest.mark.parametrize("keep_open", [False, True])
async def test_after_a_crash_at_any_write_the_same_line_completes_the_call(
    join: StartMemory, most_whole: int, keep_open: bool
) -> None:
    call = past_call(250)
    cut_short = 0
    for number in range(7):
        call["sessionId"] = f"s{number}"
        dying = join()
        dying.line.cut_before(number)
        importing = asyncio.create_task(bring(dying, call, keep_open=keep_open, most_whole=most_whole))
        await pass_time(1)
        cut_short += not importing.done()
        importing.cancel()
        with suppress(asyncio.CancelledError):
            await importing
        next_one = join()
        next_one.start()
        await pass_time(100)  # an open session of this age would have expired
        assert await result(next_one, call, keep_open=keep_open, most_whole=most_whole) in ("imported", "unchanged")
        assert await result(next_one, call, keep_open=keep_open, verify=True) == "unchanged"
        await dying.stop()
        await next_one.stop()
    assert cut_short >= 4

"""Sessions of which an endpoint has been sent nothing cost no writes, and it loses nothing by that."""

from __future__ import annotations

from tests.gateway.webhooks.in_memory.conftest import Tell
from tests.gateway.webhooks.in_memory.receivers import Receiver
from tests.gateway.webhooks.in_memory.test_telling import begin, call, system
from tests.support.faults.database import MemoryDatabase
from tests.support.in_memory import event, pass_time, until

CALLS = [f"c{number}" for number in range(30)]


def written(database: MemoryDatabase) -> list[str]:
    """The sessions of whose progress there is a document."""
    return sorted(each["sessionId"] for each in database.majority.get("webhookProgress", {}).values())


async def test_an_endpoint_that_wants_only_ends_costs_no_write_for_live_calls_and_gets_each_end_once(
    tell: Tell, receiver: Receiver, database: MemoryDatabase
) -> None:
    here, teller = tell()
    await teller.add("session.completed")
    lives = [await begin(here, each, event("e1"), event("e2")) for each in CALLS]
    await pass_time(100)
    assert written(database) == []
    for live in lives[:10]:
        await here.end(live)
    await until(lambda: len(receiver.taken) == 10)
    await pass_time(5)
    assert written(database) == sorted(CALLS[:10])
    await teller.kill()

    here, _ = tell()
    await pass_time(10)
    for each in CALLS[10:]:
        await here.end(await here.open(each))
    await until(lambda: len(receiver.taken) == 30)
    await pass_time(600)
    assert all(receiver.told(each) == ["session.completed"] for each in CALLS)
    assert written(database) == []


async def test_calls_of_which_nothing_is_wanted_are_forgotten_without_a_write(
    tell: Tell, receiver: Receiver, database: MemoryDatabase
) -> None:
    writes: list[str] = []
    database.watch = lambda _, after: writes.append(after["_id"]) if "endpoint" in after else None
    here, teller = tell()
    await teller.add("session.failed", "error")
    for each in CALLS:
        await call(here, each)
    await pass_time(600)
    [served] = teller.webhooks._rounds.values()
    assert (receiver.taken, writes, served._known.told) == ([], [], {})


async def test_a_wanted_event_is_written_and_not_told_again_after_a_kill(
    tell: Tell, receiver: Receiver, database: MemoryDatabase
) -> None:
    here, teller = tell()
    await teller.add("error")
    live = await begin(here, "s", event("e1"), event("e2"))
    await pass_time(30)
    assert written(database) == []
    await here.append(live, system("e3", "error"), event("e4"))
    await until(lambda: len(receiver.taken) == 1)
    await pass_time(5)
    assert written(database) == ["s"]
    await teller.kill()

    here, _ = tell()
    await pass_time(30)
    await here.end(await here.open("s"))
    await pass_time(30)
    assert receiver.told() == ["e3"]

"""New sessions cost a receiver that does not answer no writes, and it loses nothing by that."""

from __future__ import annotations

from tests.gateway.webhooks.in_memory.conftest import Tell
from tests.gateway.webhooks.in_memory.receivers import Receiver
from tests.gateway.webhooks.in_memory.test_telling import call
from tests.support.faults.database import MemoryDatabase
from tests.support.in_memory import pass_time, until

_WHOLE = ["session.created", "e1", "e2", "session.completed"]


async def test_nothing_is_written_about_sessions_of_which_nothing_was_told_and_a_kill_loses_none(
    tell: Tell, receiver: Receiver, database: MemoryDatabase
) -> None:
    here, teller = tell()
    await teller.add("*")
    receiver.never_answers = lambda body: True
    calls = [f"c{number}" for number in range(30)]
    for each in calls:
        await call(here, each)
    await pass_time(300)
    assert database.majority.get("webhookProgress", {}) == {}
    await teller.kill()

    receiver.never_answers = lambda body: False
    tell()
    await until(lambda: all(receiver.told(each) == _WHOLE for each in calls))


async def test_a_session_of_which_nothing_was_told_is_written_before_too_many_others_wait_for_it(
    tell: Tell, receiver: Receiver, database: MemoryDatabase
) -> None:
    here, teller = tell()
    await teller.add("*")
    receiver.never_answers = lambda body: body["data"]["sessionId"] == "silent"
    for each in ["silent", *(f"c{number}" for number in range(110))]:
        await call(here, each)
    await pass_time(500)
    assert [each["sessionId"] for each in database.majority["webhookProgress"].values()] == ["silent"]
    await teller.kill()

    receiver.never_answers = lambda body: False
    tell()
    await until(lambda: receiver.told("silent") == _WHOLE)
    await pass_time(100)
    assert all(receiver.told(f"c{number}") == _WHOLE for number in range(110)), "nothing is told twice"

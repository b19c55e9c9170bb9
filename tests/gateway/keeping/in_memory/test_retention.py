"""Sessions are erased once their time is over, apart from exceptions, by one of all gateways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.faults.database import MemoryDatabase
from tests.support.in_memory import STARTED, MemoryGateway, event, pass_time, until, virtual_now
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.keeping.retention import Retention
from turnwire.gateway.keeping.retention_rules import RetentionRules, RulesFault
from turnwire.gateway.keeping.shared_work import SharedWork
from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import FinalStatus
from turnwire.store.session_record import SessionRecord

DAY = timedelta(days=1)


class Days:
    """A wall clock that stands still unless it is set, in days after STARTED."""

    def __init__(self) -> None:
        self.days = 0.0

    def __call__(self) -> datetime:
        return STARTED + self.days * DAY


@pytest.fixture
def today() -> Days:
    return Days()


def rules(folder: Path, text: str, days: float = 30) -> RetentionRules:
    path = folder / "rules.toml"
    path.write_text(text)
    return RetentionRules.read(days, path)


def keeping(
    gateway: MemoryGateway, today: Callable[[], datetime], by: RetentionRules | None = None
) -> tuple[Retention, list[str]]:
    """Retention on this gateway, and the ids of what it erases."""
    erased: list[str] = []
    kept_by = by or RetentionRules.read(30, None)
    parts = gateway.parts
    shared = SharedWork(gateway.store.leases, "retention", 3600, clock=asyncio.get_running_loop().time, now=virtual_now)
    made = Retention(
        gateway.store,
        parts.erasing,
        kept_by,
        erased.append,
        interval=3600,
        shared=None if parts.peers is None else shared,
        now=today,
    )
    return made, erased


async def ended(
    gateway: MemoryGateway, session_id: str, day: float, status: FinalStatus = "completed", **fields: Any
) -> None:
    """A session with an event that ended this many days after STARTED."""
    live = await gateway.create(session_id, event("e"), **fields)
    await gateway.requests.complete(session_id, status, None, STARTED + day * DAY)
    gateway.sessions.evict(live)


async def test_only_sessions_that_ended_long_enough_ago_are_erased(
    here: MemoryGateway, today: Days, database: MemoryDatabase
) -> None:
    for number in range(130):
        await ended(here, f"s{number}", number)
    await here.create("open", event("e"))
    made, erased = keeping(here, today)
    today.days = 29.9
    assert (await made.look(), erased) == (0, [])
    today.days = 150
    assert await made.look() == 121
    assert set(erased) == {f"s{number}" for number in range(121)}
    assert {*database.primary["sessions"]} == {"open", *(f"s{number}" for number in range(121, 130))}
    assert {each["sessionId"] for each in database.primary["events"].values()} == {*database.primary["sessions"]}
    assert await made.look() == 0


async def test_exceptions_by_status_and_metadata_are_kept_as_long_as_they_say(
    here: MemoryGateway, today: Days, tmp_path: Path
) -> None:
    by = rules(
        tmp_path,
        """
        [[keep]]
        metadata = { legalHold = true }

        [[keep]]
        status = "failed"
        metadata = { tenant = "a" }
        days = 60

        [[keep]]
        metadata = { tenant = "b" }
        days = 1
        """,
    )
    await ended(here, "hold", 0, "failed", metadata={"legalHold": True, "tenant": "a"})
    await ended(here, "one", 0, metadata={"legalHold": 1})
    await ended(here, "failed", 0, "failed", metadata={"tenant": "a"})
    await ended(here, "completed", 0, metadata={"tenant": "a"})
    await ended(here, "short", 0, metadata={"tenant": "b"})
    made, erased = keeping(here, today, by)
    for day, gone in ((0.9, set()), (1, {"short"}), (30, {"one", "completed"}), (60, {"failed"}), (9999, set())):
        erased.clear()
        today.days = day
        await made.look()
        assert set(erased) == gone, day


async def test_one_of_many_gateways_runs_retention_and_another_one_soon_after_it_was_killed(
    here: MemoryGateway, there: MemoryGateway, today: Days
) -> None:
    today.days = 40
    first, second = keeping(here, today), keeping(there, today)
    running = [asyncio.create_task(made.run(here.sessions.prepared)) for made, _ in (first, second)]
    await pass_time(10)
    for number in range(10):
        await ended(here, f"s{number}", 0)
    await pass_time(3600)
    assert sorted(first[1] + second[1]) == [f"s{number}" for number in range(10)]
    for task in running:
        task.cancel()


async def test_a_session_that_is_put_on_hold_at_the_last_moment_is_kept(
    here: MemoryGateway, there: MemoryGateway, today: Days, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ended(here, "s", 0)
    made, erased = keeping(here, today, rules(tmp_path, "[[keep]]\nmetadata = { hold = true }\n"))
    erase = here.parts.erasing.erase

    async def hold_first(session_id: str, **options: Any) -> bool:
        await there.requests.amend("s", {"hold": True}, None)
        return await erase(session_id, **options)

    monkeypatch.setattr(here.parts.erasing, "erase", hold_first)
    today.days = 40
    assert (await made.look(), erased) == (0, [])
    assert await here.log() == ["e"]


async def test_a_new_session_of_the_same_id_is_not_taken_for_the_old_one(
    here: MemoryGateway, there: MemoryGateway, today: Days, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ended(here, "s", 0)
    made, _ = keeping(here, today)
    erase = here.parts.erasing.erase

    async def replace_first(session_id: str, **options: Any) -> bool:
        await there.parts.erasing.erase("s", force=False)
        await ended(there, "s", 1, life=77)
        return await erase(session_id, **options)

    monkeypatch.setattr(here.parts.erasing, "erase", replace_first)
    today.days = 40
    assert await made.look() == 0
    assert (await there.stored()).life == 77


async def test_retention_looks_again_and_again_even_after_trouble(
    join: StartMemory, today: Days, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = join(alone=True)
    await ended(here, "s", 0)
    made, erased = keeping(here, today)
    page, fails = here.store.sessions.stored_page, [True, True]

    async def failing(query: Any) -> Any:
        if fails:
            fails.pop()
            raise StorageUnavailable if fails else ValueError
        return await page(query)

    monkeypatch.setattr(here.store.sessions, "stored_page", failing)
    running = asyncio.create_task(made.run(here.sessions.prepared))
    await pass_time(7300)
    assert not fails
    today.days = 31
    await pass_time(3600)
    await until(lambda: erased == ["s"])
    running.cancel()


# --- what a look reads ----------------------------------------------------------------------------------------------


class Reads:
    """Counts the sessions that looks read."""

    def __init__(self, gateway: MemoryGateway, patch: pytest.MonkeyPatch) -> None:
        self.count = 0
        for name in ("stored_page", "load_stored"):
            patch.setattr(gateway.store.sessions, name, self._counted(getattr(gateway.store.sessions, name)))

    def _counted(self, read: Callable[[Any], Any]) -> Callable[[Any], Any]:
        async def counted(asked: Any) -> Any:
            found = await read(asked)
            self.count += len(found)
            return found

        return counted


async def past(gateway: MemoryGateway, session_id: str, day: float, **fields: Any) -> None:
    """A session that began and ended these numbers of days after STARTED."""
    moment = STARTED + day * DAY
    live, _ = await gateway.sessions.create(SessionRecord(session_id, "en", moment, **fields))
    await gateway.requests.complete(session_id, "completed", None, moment)
    gateway.sessions.evict(live)


@pytest.fixture
def held(tmp_path: Path) -> RetentionRules:
    """Sessions are kept for 30 days, those on hold for ever, and those of one tenant for 60 days."""
    return rules(
        tmp_path,
        """
        [[keep]]
        metadata = { hold = true }

        [[keep]]
        metadata = { tenant = "a" }
        days = 60
        """,
    )


async def test_a_look_reads_what_may_have_become_due_since_the_last_one_and_not_what_is_kept(
    here: MemoryGateway, today: Days, held: RetentionRules, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(120):
        await past(here, f"s{day}", day, metadata={"hold": day % 2 == 0})
    made, erased = keeping(here, today, held)
    today.days = 100
    assert await made.look() == 35
    reads = Reads(here, monkeypatch)
    assert (await made.look(), reads.count) == (0, 2)  # which began just then
    today.days = 105
    assert (await made.look(), sorted(erased[35:])) == (3, ["s71", "s73", "s75"])
    assert reads.count < 15


async def test_a_session_that_ended_later_than_it_began_leaves_when_its_time_is_over(
    here: MemoryGateway, today: Days, held: RetentionRules, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ended(here, "long", 3)
    live = await here.create("longer", event("e"))
    made, erased = keeping(here, today, held)
    for day in (10, 31, 32):
        today.days = day
        assert await made.look() == 0
    today.days = 33
    assert (await made.look(), erased) == (1, ["long"])
    today.days = 100
    await made.look()
    await here.requests.complete("longer", "completed", None, STARTED + 100 * DAY)
    here.sessions.evict(live)
    today.days = 129
    assert await made.look() == 0
    today.days = 130
    assert (await made.look(), erased[1:]) == (1, ["longer"])
    reads = Reads(here, monkeypatch)
    today.days = 131
    assert (await made.look(), reads.count) == (0, 0)


async def test_sessions_taken_off_hold_or_imported_leave_with_the_next_look(
    here: MemoryGateway, there: MemoryGateway, today: Days, held: RetentionRules
) -> None:
    await past(here, "held", 0, metadata={"hold": True})
    await past(here, "tenant", 45, metadata={"tenant": "a"})
    made, erased = keeping(here, today, held)
    keeping(there, today, held)
    today.days = 100
    assert await made.look() == 0
    await there.requests.amend("held", {"hold": None}, None)
    await there.requests.amend("tenant", {"tenant": None}, None)
    await past(there, "brought in", 1)
    assert (await made.look(), sorted(erased)) == (3, ["brought in", "held", "tenant"])


async def test_a_change_that_is_stored_only_after_a_look_has_seen_its_note_is_not_lost(
    here: MemoryGateway, today: Days, held: RetentionRules, monkeypatch: pytest.MonkeyPatch
) -> None:
    await past(here, "held", 0, metadata={"hold": True})
    made, erased = keeping(here, today, held)
    today.days = 100
    await made.look()
    noted = here.store.retention.changing

    async def look_first(record: SessionRecord) -> None:
        await noted(record)
        await made.look()

    monkeypatch.setattr(here.store.sessions, "_changing", look_first)
    await here.requests.amend("held", {"hold": None}, None)
    assert erased == []
    assert (await made.look(), erased) == (1, ["held"])


@pytest.mark.parametrize("change", ["other rules", "off meanwhile", "a month"])
async def test_a_look_walks_through_all_by_other_rules_after_a_time_without_retention_and_each_month(
    here: MemoryGateway, today: Days, held: RetentionRules, database: MemoryDatabase, change: str
) -> None:
    await past(here, "held", 0, metadata={"hold": True})
    made, _ = keeping(here, today, held)
    today.days = 100
    await made.look()
    if change == "other rules":
        made, erased = keeping(here, today)
    else:
        document = database.primary["sessions"]["held"]
        database.put("sessions", {**document, "metadata": {}})
        await database.replicate()
        made, erased = keeping(here, today, held)
    if change == "off meanwhile":
        await here.store.retention.forget_mark()
    if change == "a month":
        assert await made.look() == 0
        today.days += 31
    assert (await made.look(), erased) == (1, ["held"])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[keep]]\ndays = 5\n", "a rule needs a status or metadata"),
        ('[[keep]]\nstatus = "active"\n', "status"),
        ('[[keep]]\nstatus = "failed"\ndays = -1\n', "days"),
        ('[[keep]]\nstatus = "failed"\nday = 1\n', "unknown field `day`"),
        ("[[keep]]\nstatus = 1\n", "got an integer"),
        ("[[drop]]\n", "unknown field `drop`"),
        ("[[keep]\n", "rules.toml"),
    ],
)
def test_an_invalid_file_of_retention_rules_is_refused_with_the_reason(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(RulesFault, match=fault):
        rules(tmp_path, text)


def test_a_missing_file_of_retention_rules_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RulesFault, match=r"cannot read .*: No such file"):
        RetentionRules.read(30, tmp_path / "rules.toml")

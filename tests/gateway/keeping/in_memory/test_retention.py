"""Sessions are erased once their time is over, apart from exceptions, by one of all gateways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.faults.database import MemoryDatabase
from tests.support.in_memory import STARTED, MemoryGateway, event, pass_time, until
from tests.support.memory_fixtures import StartMemory
from turnwire.gateway.keeping.retention import Retention
from turnwire.gateway.keeping.retention_rules import RetentionRules, RulesFault
from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import FinalStatus

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
    made = Retention(
        gateway.store, parts.erasing, kept_by, erased.append, interval=3600, shared=parts.peers is not None, now=today
    )
    return made, erased


async def ended(
    gateway: MemoryGateway, session_id: str, day: float, status: FinalStatus = "completed", **fields: Any
) -> None:
    """A session with an event that ended so many days after STARTED."""
    live = await gateway.create(session_id, event("e"), **fields)
    await gateway.requests.complete(session_id, status, None, STARTED + day * DAY)
    gateway.sessions.evict(live)


async def test_what_has_ended_so_many_days_ago_is_erased_and_nothing_else(
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


async def test_one_gateway_of_many_does_it_and_another_when_that_one_is_gone(
    here: MemoryGateway, there: MemoryGateway, today: Days
) -> None:
    first, second = keeping(here, today)[0], keeping(there, today)[0]
    today.days = 40
    assert await first.look() == 0
    await ended(here, "s", 0)
    assert await second.look() == 0
    assert await here.log() == ["e"]
    today.days += 1
    assert await second.look() == 1
    assert await first.look() == 0
    assert await here.log() == []


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


async def test_it_looks_again_and_again_also_after_trouble(
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


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[keep]]\ndays = 5\n", "a rule needs a status or metadata"),
        ('[[keep]]\nstatus = "active"\n', "status"),
        ('[[keep]]\nstatus = "failed"\ndays = -1\n', "days"),
        ('[[keep]]\nstatus = "failed"\nday = 1\n', "unknown field `day`"),
        ("[[drop]]\n", "unknown field `drop`"),
        ("[[keep]\n", "rules.toml"),
    ],
)
def test_a_file_of_rules_that_says_something_else_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(RulesFault, match=fault):
        rules(tmp_path, text)


def test_a_file_of_rules_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(RulesFault, match=r"cannot read .*: No such file"):
        RetentionRules.read(30, tmp_path / "rules.toml")

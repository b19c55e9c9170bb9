"""The unended sessions of the embedded database are read in windows that hold few of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.memory_fixtures import pytest_asyncio_loop_factories
from turnwire.store.telling.unended import read_unended

__all__ = ["pytest_asyncio_loop_factories"]

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Sessions:
    """Sessions by their start and status, and how many each read has found."""

    def __init__(self, started: list[tuple[datetime, str]]) -> None:
        self.started = started
        self.reads: list[int] = []

    async def read(self, condition: dict[str, Any]) -> list[tuple[datetime, str]]:
        assert isinstance(condition["status"], str), "with several statuses, the embedded database reads all sessions"
        bounds = condition["startedAt"]
        found = [
            each
            for each in self.started
            if each[1] == condition["status"]
            and ("$gte" not in bounds or bounds["$gte"] <= each[0])
            and ("$lt" not in bounds or each[0] < bounds["$lt"])
        ]
        self.reads.append(len(found))
        return found


async def test_every_session_is_read_once_whenever_it_began() -> None:
    ages = [timedelta(seconds=-5), timedelta(0), *(timedelta(seconds=1.7**n) for n in range(40))]
    started = [(NOW - age, ("initiated", "active")[n % 2]) for n, age in enumerate(ages)]
    sessions = Sessions(started)
    assert sorted(await read_unended(sessions.read, NOW)) == sorted(started)
    assert len(sessions.reads) < 300


async def test_of_thousands_that_have_just_begun_each_read_finds_hundreds() -> None:
    sessions = Sessions([(NOW - timedelta(milliseconds=n), "initiated") for n in range(4000)])
    assert len(await read_unended(sessions.read, NOW)) == 4000
    assert max(sessions.reads) <= 1000
    assert sum(each > 0 for each in sessions.reads) < 30

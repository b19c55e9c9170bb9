"""What waits to be written for the search is handed over in slices, so that no pass of the loop copies all of it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from turnwire.gateway.finding import gathering, search
from turnwire.gateway.finding.gathering import Gathering
from turnwire.gateway.finding.search import Search
from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.state import SessionState
from turnwire.store.mongo import Store
from turnwire.store.search.tables import FILE_NAME
from turnwire.store.session_filter import SearchFilter
from turnwire.store.sessions import SessionQuery, SessionRecord

STARTED = datetime(2026, 6, 1, tzinfo=UTC)


class State:
    """A session in memory."""

    def __init__(self, number: int) -> None:
        self.session_id = f"s{number}"
        self.record = SessionRecord(self.session_id, "en", STARTED + timedelta(seconds=number))


def state(number: int) -> SessionState:
    return cast("SessionState", State(number))


def said(text: str, seq: int = 1) -> Durable:
    event = SimpleNamespace(type="user_speech", payload={"text": text})
    return cast("Durable", SimpleNamespace(events=[(seq, event)], last=(seq, event)))


def taken(gathered: Gathering, most: int) -> tuple[list[str], list[str]]:
    records, texts = gathered.take(most)
    return [each.session_id for each in records], [each.session_id for each in texts]


def test_changed_sessions_come_with_what_was_said_in_them_then_come_the_others() -> None:
    gathered, states = Gathering(), [state(number) for number in range(5)]
    for each in states:
        gathered.advanced(each, said("hello"))
    for each in states[2:]:
        gathered.changed(each)
    assert gathered.cut()
    assert taken(gathered, 2) == (["s2", "s3"], ["s2", "s3"])
    gathered.advanced(states[0], said("again", seq=2))  # goes with the next cut
    assert taken(gathered, 2) == (["s4"], ["s4"])
    assert taken(gathered, 2) == ([], ["s0", "s1"])
    assert not gathered.is_cut
    assert gathered.cut()
    assert taken(gathered, 2) == ([], ["s0"])
    assert not gathered.cut()


def test_an_erasure_looks_at_no_other_session(monkeypatch: pytest.MonkeyPatch) -> None:
    gathered, looks = Gathering(), Counter[str]()
    for number in range(6):
        gathered.changed(state(number))
        if number == 3:
            gathered.cut()

    def look(_state: State, name: str) -> None:
        looks[name] += 1

    with monkeypatch.context() as watched:
        watched.setattr(State, "__getattribute__", look)
        for session_id in ("s1", "s5"):
            gathered.erased(session_id)
    assert looks.total() == 0
    assert taken(gathered, 9)[0] == ["s0", "s2", "s3"]
    gathered.cut()
    assert taken(gathered, 9)[0] == ["s4"]


def test_an_erased_session_is_not_handed_over_either_if_it_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MAX_CHARS", 10)
    gathered, gone, other = Gathering(), state(1), state(2)
    for each in (gone, other):
        gathered.changed(each)
        gathered.advanced(each, said("hello"))
    gathered.cut()
    gathered.advanced(gone, said("hello", seq=2))
    gathered.erased("s1")
    assert taken(gathered, 9) == (["s2"], ["s2"])
    assert not gathered.cut()
    gathered.take_missed()
    gathered.advanced(other, said("word " * 4))
    assert gathered.missed == {}, "there is room again for all texts"


async def test_a_flush_writes_all_slices_and_a_failed_one_reads_them_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_SESSIONS", 2)

    async def no_sessions(_query: SessionQuery) -> list[SessionRecord]:
        return []

    store = cast("Store", SimpleNamespace(sessions=SimpleNamespace(page=no_sessions)))
    searching, prepared = Search(store, tmp_path / FILE_NAME, shared=False), asyncio.Event()
    prepared.set()
    running = asyncio.create_task(searching.run(prepared))
    while not searching.ready:
        await asyncio.sleep(0.001)
    states = [state(number) for number in range(5)]
    for each in states:
        searching.gathering.changed(each)
        searching.gathering.advanced(each, said("hello"))
    await searching.flush()
    found = await searching.page(SessionQuery(limit=9, more=SearchFilter(words=("hello",))))
    assert found.ids == ["s4", "s3", "s2", "s1", "s0"]

    running.cancel()  # so that nothing is read meanwhile
    for each in states:
        searching.gathering.changed(each)

    async def fail(_work: object) -> None:
        raise sqlite3.OperationalError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(searching, "_write", fail)
        await searching.flush()
    assert sorted(searching.gathering.missed) == ["s0", "s1", "s2", "s3", "s4"]
    await searching.close()

"""Watchers who come at the same moment share what is read for them. Nothing is kept that the log may no longer hold."""

from __future__ import annotations

import asyncio

import pytest

from turnwire.gateway.clock import utc_now
from turnwire.gateway.watching.encoded_batch import EncodedBatch
from turnwire.gateway.watching.replays import KEPT_SECONDS, LARGEST_KEPT, MOST_KEPT, Frames, Replays
from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import Event
from turnwire.store.event_log import EventLog
from turnwire.store.sessions import SessionRecord


class CountedLog(EventLog):
    """A log of endless sessions, which notes what is read of it."""

    def __init__(self) -> None:
        self.reads: list[tuple[str, int, int]] = []
        self.trouble = 0
        self.text = ""
        self.away = False

    @property
    def troubles(self) -> int:
        return self.trouble

    async def read(self, session_id: str, first: int, last: int, life: int | None = -1) -> list[Event]:
        self.reads.append((session_id, first, last))
        await asyncio.sleep(0.01)
        if self.away:
            raise StorageUnavailable("away")
        return [
            Event(str(seq), session_id, "system", {"text": self.text}, "2026-01-01T00:00:00.000Z", seq)
            for seq in range(first, last + 1)
        ]


@pytest.fixture
def log() -> CountedLog:
    return CountedLog()


@pytest.fixture
def replays(log: CountedLog) -> Replays:
    return Replays(log)


def session(session_id: str = "s", life: int = 1) -> SessionRecord:
    return SessionRecord(session_id, "en", utc_now(), life=life)


def encode(batch: EncodedBatch) -> Frames:
    return [(str(event.payload).encode(), event.seq) for event in batch.events]


async def seqs(replays: Replays, first: int, last: int, record: SessionRecord | None = None) -> list[int]:
    return [seq for _, seq in await replays.frames(record or session(), first, last, encode)]


async def test_watchers_that_come_at_the_same_moment_share_a_read(replays: Replays, log: CountedLog) -> None:
    found = await asyncio.gather(*(seqs(replays, 5, 8) for _ in range(100)))
    assert found == [[5, 6, 7, 8]] * 100
    assert log.reads == [("s", 5, 8)]


async def test_a_window_is_kept_for_watchers_that_come_a_moment_later_but_not_for_ever(
    replays: Replays, log: CountedLog
) -> None:
    for _ in range(3):
        assert await seqs(replays, 5, 8) == [5, 6, 7, 8]
    assert len(log.reads) == 1
    await asyncio.sleep(KEPT_SECONDS + 0.1)
    await seqs(replays, 5, 8)
    assert len(log.reads) == 2


async def test_sessions_lives_and_places_in_the_log_are_told_apart(replays: Replays, log: CountedLog) -> None:
    for record in (session(), session("t"), session(life=2)):
        await seqs(replays, 5, 8, record)
    await seqs(replays, 6, 8)
    assert log.reads == [("s", 5, 8), ("t", 5, 8), ("s", 5, 8), ("s", 6, 8)]


async def test_a_window_serves_until_the_log_has_twice_as_much(replays: Replays, log: CountedLog) -> None:
    await seqs(replays, 5, 8)
    assert await seqs(replays, 5, 12) == [5, 6, 7, 8]
    assert await seqs(replays, 5, 13) == list(range(5, 14))
    assert log.reads == [("s", 5, 8), ("s", 5, 13)]


async def test_a_watcher_who_leaves_does_not_cancel_the_read_of_others(replays: Replays, log: CountedLog) -> None:
    first, second = (asyncio.create_task(seqs(replays, 5, 8)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == [5, 6, 7, 8]
    assert len(log.reads) == 1


async def test_a_failed_read_reaches_all_that_wait_and_no_later_watcher(replays: Replays, log: CountedLog) -> None:
    log.away = True
    found = await asyncio.gather(*(seqs(replays, 5, 8) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in found] == [StorageUnavailable] * 3
    log.away = False
    await asyncio.sleep(0.001)
    assert await seqs(replays, 5, 8) == [5, 6, 7, 8]


async def test_watchers_that_wait_when_the_gateway_stops_get_an_error(replays: Replays) -> None:
    waiting = asyncio.create_task(seqs(replays, 5, 8))
    await asyncio.sleep(0.001)
    await replays.stop()
    with pytest.raises(StorageUnavailable):
        await waiting


async def test_nothing_read_before_trouble_with_the_database_is_used(replays: Replays, log: CountedLog) -> None:
    await seqs(replays, 5, 8)
    log.trouble += 1
    await seqs(replays, 5, 8)
    assert len(log.reads) == 2


async def test_nothing_is_kept_of_a_session_that_is_erased_or_rolled_back(replays: Replays, log: CountedLog) -> None:
    await seqs(replays, 5, 8)
    await seqs(replays, 5, 8, session("t"))
    replays.forget("s")
    await seqs(replays, 5, 8)
    await seqs(replays, 5, 8, session("t"))
    assert [session_id for session_id, _, _ in log.reads] == ["s", "t", "s"]


async def test_few_windows_are_kept_and_no_large_ones(replays: Replays, log: CountedLog) -> None:
    for number in range(MOST_KEPT + 1):
        await seqs(replays, 5, 8, session(f"s{number}"))
    log.reads.clear()
    await seqs(replays, 5, 8, session(f"s{MOST_KEPT}"))
    assert not log.reads
    await seqs(replays, 5, 8, session("s0"))
    assert log.reads == [("s0", 5, 8)]
    log.text = "x" * LARGEST_KEPT
    for _ in range(2):
        await seqs(replays, 1, 1, session("large"))
    assert [session_id for session_id, _, _ in log.reads] == ["s0", "large", "large"]

"""What webhooks have been told is written without holding up events."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from turnwire.store.telling.progress import MAX_WRITES, ProgressStore, Told

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Collection:
    """Counts the bulks under way, and completes each in the next pass of the loop."""

    def __init__(self) -> None:
        self.endpoints: list[str] = []
        self.under_way = self.most = 0

    async def insert_many(self, documents: list[dict[str, str]], *, ordered: bool) -> None:
        assert not ordered
        assert len(documents) <= MAX_WRITES
        self.endpoints.append(documents[0]["endpoint"])
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1


async def test_all_endpoints_together_write_one_bulk_at_a_time_in_turn() -> None:
    collection = Collection()
    progress = ProgressStore(collection, None)

    def told() -> list[Told]:
        return [Told(session_id=f"s{number}", life=None, started_at=AT) for number in range(2 * MAX_WRITES)]

    await asyncio.gather(*(progress.save(endpoint, told()) for endpoint in ("a", "b", "c")))
    assert collection.most == 1
    assert collection.endpoints == ["a", "b", "c", "a", "b", "c"]


class Sessions:
    """Counts the reads of all unended sessions, each of which takes until `go`."""

    def __init__(self) -> None:
        self.reads = 0
        self.go = asyncio.Event()

    def find(self, condition: object, fields: object) -> Sessions:
        self.reads += 1
        return self

    async def to_list(self, length: int | None) -> list[dict[str, object]]:
        await self.go.wait()
        return []


async def test_endpoints_that_ask_for_all_unended_sessions_during_a_read_share_the_next_one() -> None:
    sessions = Sessions()
    progress = ProgressStore(None, sessions)
    first = asyncio.create_task(progress.unended())
    while sessions.reads == 0:
        await asyncio.sleep(0)
    others = [asyncio.create_task(progress.unended()) for _ in range(15)]
    await asyncio.sleep(0)
    assert sessions.reads == 1, "the embedded database reads for one at a time"
    others.pop().cancel()
    sessions.go.set()
    assert await asyncio.gather(first, *others) == 15 * [[]]
    assert sessions.reads == 2, "what began before an endpoint asked may lack a session that it has to know"

"""Large reads of the log leave the database and the driver's threads to commits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from turnwire.store.condition import DatabaseCondition
from turnwire.store.driver.loop import MOST_THREADS
from turnwire.store.sharing.reads import Reads


class Collection:
    """Answers each read when it is told to."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, asyncio.Future[list[Any]]]] = []

    def find(self, wanted: dict[str, str], _projection: object) -> Collection:
        self._wanted = wanted["_id"]
        return self

    def to_list(self, length: int | None) -> asyncio.Future[list[Any]]:
        assert length is None
        answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self.begun.append((self._wanted, answer))
        return answer


@pytest.mark.parametrize("embedded", [True, False])
async def test_few_reads_of_many_documents_are_under_way_and_those_of_one_pass_them(*, embedded: bool) -> None:
    collection = Collection()
    reads = Reads(collection, DatabaseCondition(), embedded=embedded)

    def read(name: str, count: int, session_id: str) -> asyncio.Task[list[Any]]:
        return asyncio.create_task(reads.find({"_id": name}, None, count=count, session_id=session_id))

    exports = [read("export", 20, "long") for _ in range(50)]
    await asyncio.sleep(0)
    tasks = [read("page", 20, "short"), read("one", 1, "long")]
    await asyncio.sleep(0)
    most = len(collection.begun) - 1
    assert 1 <= most < MOST_THREADS
    assert collection.begun[-1][0] == "one"
    for at in range(52):
        collection.begun[at][1].set_result([at])
        while len(collection.begun) <= at + 1 and not all(each.done() for each in (*exports, *tasks)):
            await asyncio.sleep(0)
    names = [name for name, _ in collection.begun]
    assert names.index("page") <= most + 2, "another session's page does not wait for all exports"
    assert len(names) == 52

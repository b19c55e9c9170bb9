"""One gateway's line to the model of the database, at the level of Motor's collections.

Every operation takes a while. It may be lost on its way, lose its answer, or be carried out after the client was told
that it failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Self

from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    NetworkTimeout,
    NotPrimaryError,
    PyMongoError,
    WriteConcernError,
    WriteError,
)

from tests.support.faults.collection import DUPLICATE_KEY, Collection, Steps
from tests.support.faults.database import Document, MemoryDatabase
from turnwire.store.lanes.inserts import Answer, OrderedInsert
from turnwire.store.mongo import Store

_FAULTS = ("refused", "answer lost", "late", "cut short", "no majority")
_LATEST_SECONDS = 3.0
_FORGOTTEN_SHARE = 0.3
"""The share of writes with an error, behind a router that hides this, that are not on a majority either."""
_SLOW_SHARE, _SLOW_SECONDS = 0.05, 0.5


class Line:
    """One gateway's connection to the database. `trouble` is the probability that an operation suffers a fault."""

    def __init__(self, database: MemoryDatabase, trouble: float) -> None:
        self.database = database
        self.trouble = trouble
        self.cut = False
        """Whether the gateway is dead: nothing that it had not sent ever arrives."""
        self.stamp: Callable[[Document], None] = lambda document: None
        """Called for each document that is sent for insertion; may add fields for the test."""
        self._writes_left: int | None = None
        """The number of writes after which the gateway dies; None means no limit."""
        self._random = database.random
        self._served: set[asyncio.Task[Any]] = set()
        self._is_free = False
        """Whether a connection is held on which commands can be sent at once."""

    def get_database(self, name: str, **options: object) -> Self:
        return self

    def __getitem__(self, name: str) -> Collection:
        return Collection(self, name)

    @property
    def admin(self) -> Self:
        return self

    async def command(self, command: Document | str) -> Document:
        """Carry out the commands that the stores send directly."""
        if isinstance(command, str):
            return {"ok": 1, "version": "8.0.0"}
        documents = command["documents"]
        count = len(documents)
        forges = self.database.forges and self._random.random() < self.database.forges
        forged = self._random.randrange(count) if forges else None
        if forged is not None and self._random.random() < 0.5:
            documents = []  # nor are the documents before it stored, although the answer says so
        try:
            if documents:
                await self[command["insert"]].insert_many(documents[:forged], ordered=command["ordered"])
        except BulkWriteError as error:
            errors, concerns = error.details["writeErrors"], error.details["writeConcernErrors"]
            if errors and self.database.router_forgets:
                concerns = []
            return {"ok": 1, "writeErrors": errors, "writeConcernError": next(iter(concerns), None)}
        if forged is not None:
            return {"ok": 1, "writeErrors": [{"index": forged, "code": DUPLICATE_KEY, "errmsg": "duplicate key"}]}
        return {"ok": 1, "n": count}

    async def in_thread(self, command: Document) -> Document:
        """Carry out a command. Its connection is held afterwards for those that are sent at once."""
        reply = await self.command(command)
        self._is_free = True
        return reply

    def at_once(self, command: Document, answer: Answer) -> bool:
        """Send a command on the connection that is held, if it is free. It is no longer held after an error."""
        if not self._is_free:
            return False
        self._is_free = False
        serving = asyncio.get_running_loop().create_task(self._answer(command, answer))
        self._served.add(serving)
        serving.add_done_callback(self._finished)
        return True

    async def _answer(self, command: Document, answer: Answer) -> None:
        try:
            reply = await self.in_thread(command)
        except PyMongoError as error:
            answer(None, error)
        else:
            answer(reply, None)

    def send_at_once(self, store: Store) -> None:
        """Have the store's inserts of events sent without a task where that is possible, as the driver's commands
        are."""
        insert = store.events._lanes[0]._insert_ordered
        assert isinstance(insert, OrderedInsert), "all lanes share it"
        insert._command, insert._at_once = self.in_thread, self.at_once

    def close(self) -> None:
        self.cut = True

    def cut_before(self, number: int) -> None:
        """Let the gateway die when it is about to make this write, counted from 0."""
        self._writes_left = number

    def _count_write(self) -> None:
        if self._writes_left is not None:
            self.cut |= self._writes_left == 0
            self._writes_left -= 1

    def _is_dead(self) -> bool:
        return self.cut

    async def pause(self, longest: float = 0.02) -> None:
        if self._random.random() < _SLOW_SHARE:
            longest = max(longest, _SLOW_SECONDS)
        await asyncio.sleep(self._random.uniform(0, longest))

    async def read(self, look: Callable[[], Any]) -> Any:
        term = self.database.term
        fault = self._fault()
        await self.pause()
        if self._is_dead() or fault is not None or term != self.database.term:
            raise AutoReconnect("the read was lost")
        result = look()
        await self.pause()
        if self._is_dead():
            raise AutoReconnect("the answer was lost")
        return result

    async def write(self, steps: Callable[[], Steps], *, bulk: bool) -> Any:
        """Carry out a write in steps, between which other writes may come."""
        self._count_write()
        fault, restored = self._fault(), self.database.restored
        await self.pause()
        if self._is_dead() or fault == "refused" or restored != self.database.restored:
            raise AutoReconnect("the write was lost on its way")
        serving = asyncio.get_running_loop().create_task(self._serve(steps(), fault, bulk=bulk))
        self._served.add(serving)
        serving.add_done_callback(self._finished)
        if fault == "late":
            await self.pause()
            raise NetworkTimeout("no answer; it will be carried out yet")
        result = await asyncio.shield(serving)
        if fault in ("answer lost", "cut short") or self._is_dead():
            raise AutoReconnect("the answer was lost")
        return result

    def _finished(self, serving: asyncio.Task[Any]) -> None:
        self._served.discard(serving)
        if not serving.cancelled():
            serving.exception()

    def _fault(self) -> str | None:
        if self.database.away:
            return "refused"
        return self._random.choice(_FAULTS) if self._random.random() < self.trouble else None

    async def _serve(self, steps: Steps, fault: str | None, *, bulk: bool) -> Any:
        restored = self.database.restored
        if fault == "late":
            await self.pause(_LATEST_SECONDS)
        if restored != self.database.restored:
            raise AutoReconnect("the write was lost on its way")
        term = self.database.term
        failure: PyMongoError | None = None
        result = None
        while True:
            if term != self.database.term:
                raise NotPrimaryError("not primary any more")
            try:
                next(steps)
            except StopIteration as end:
                result = end.value
                break
            except (BulkWriteError, WriteError) as error:
                failure = error
                break
            if fault == "cut short" and self._random.random() < 0.5:
                break
            if self._random.random() < 0.3:
                await self.pause()
        if failure is not None and self.database.router_forgets and self._random.random() < _FORGOTTEN_SHARE:
            fault = "no majority"
        if fault == "no majority":
            if self._random.random() < 0.5:  # as if the primary had lost touch with the others
                self.database.fail_over()
            raise _without_majority(failure, bulk=bulk)
        if not await self.database.replicate():
            raise NotPrimaryError("not primary any more")
        if failure is not None:
            raise failure
        return result


def _without_majority(failure: PyMongoError | None, *, bulk: bool) -> PyMongoError:
    trouble = {"code": 64, "errmsg": "waiting for replication timed out"}
    if isinstance(failure, BulkWriteError):
        return BulkWriteError({**failure.details, "writeConcernErrors": [trouble]})
    if bulk:
        return BulkWriteError({"writeErrors": [], "writeConcernErrors": [trouble], "nInserted": 0})
    return WriteConcernError("waiting for replication timed out", 64, trouble)

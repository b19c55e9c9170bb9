"""Inserts without a task: which batches are sent so, and what becomes of each kind of answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from bson.errors import InvalidDocument
from pymongo.errors import AutoReconnect, ProtocolError, WriteConcernError

from turnwire.store.condition import DatabaseCondition
from turnwire.store.lanes.appends import PendingAppend
from turnwire.store.lanes.inserts import Answer, Document, OrderedInsert
from turnwire.store.lanes.quick_insert import Outcome, QuickInsert

OK = {"ok": 1.0, "n": 3}
AWAY = AutoReconnect("away")


class Played:
    """A quick insert of one batch of two appends, on a database that the test plays."""

    def __init__(self) -> None:
        self.sent: list[Document] = []
        self.answer: Answer | None = None
        self.fault: Exception | None = None
        self.is_free = True
        self.committed: list[int] = []
        self.took: list[Sequence[PendingAppend]] = []
        self.seen_to: list[Outcome] = []
        self.condition = DatabaseCondition()
        self.quick = QuickInsert(
            OrderedInsert(self._never, "things", self._at_once),
            self.condition,
            lambda stored, _: self.committed.append(stored),
            took=self.took.append,
            see_to=self._see_to,
        )
        self.batch = [PendingAppend([{"_id": 1}, {"_id": 2}], 10, 0), PendingAppend([{"_id": 3}], 10, 0)]

    async def _never(self, command: Document) -> Document:
        raise AssertionError(f"{command} takes a task")

    def _at_once(self, command: Document, answer: Answer) -> bool:
        if self.fault is not None:
            raise self.fault
        if self.is_free:
            self.sent, self.answer = command["documents"], answer
        return self.is_free

    async def _see_to(self, _: Sequence[PendingAppend], outcome: Outcome) -> None:
        self.seen_to.append(outcome)

    def begin(self) -> bool:
        return self.quick.begin(self.batch, lambda: None)

    async def end(self, reply: dict[str, Any] | None = None, error: BaseException | None = None) -> None:
        """Answer the insert, and see to what is left."""
        assert self.begin()
        assert self.answer is not None
        self.answer(reply, error)
        rest = self.quick.finish(self.batch)
        if rest is not None:
            await rest()


async def test_a_batch_that_is_stored_as_a_whole_is_taken() -> None:
    played = Played()
    await played.end(OK)
    assert [each["_id"] for each in played.sent] == [1, 2, 3]
    assert (played.committed, played.took, played.seen_to) == ([3], [played.batch], [])


async def test_of_appends_in_parts_the_next_part_is_sent() -> None:
    played = Played()
    played.batch[0].stored, played.batch[1].end = 1, 0
    assert played.begin()
    assert [each["_id"] for each in played.sent] == [2]


def _after_trouble(played: Played) -> None:
    played.condition.troubles += 1


def _unencodable(played: Played) -> None:
    played.fault = InvalidDocument("no")


def _busy(played: Played) -> None:
    played.is_free = False


@pytest.mark.parametrize("change", [_after_trouble, _unencodable, _busy])
async def test_a_batch_whose_log_is_in_doubt_or_that_cannot_be_sent_is_left_to_a_task(
    change: Callable[[Played], None],
) -> None:
    played = Played()
    change(played)
    assert not played.begin()
    assert played.sent == []


@pytest.mark.parametrize(
    ("reply", "said", "error"),
    [
        ({"ok": 1.0, "n": 1, "writeErrors": [{"index": 1, "code": 11000}]}, 1, None),
        ({"ok": 1.0, "n": 3, "writeConcernError": {"code": 64, "errmsg": "late"}}, 0, WriteConcernError),
        ({"ok": 1.0, "n": 2}, 0, ProtocolError),
        ({"ok": 1.0, "n": 2, "writeErrors": []}, 0, ProtocolError),
        ({"ok": 1.0}, 0, ProtocolError),
        ({"ok": 1.0, "n": 0, "writeErrors": [{"code": 11000}]}, 0, ProtocolError),
        ({"ok": 1.0, "n": 0, "writeErrors": [{"index": None}]}, 0, ProtocolError),
        ({"ok": 1.0, "n": 0, "writeErrors": [{"index": 3, "code": 11000}]}, 0, ProtocolError),
        ({"ok": 1.0, "n": 0, "writeErrors": [{"index": -1, "code": 11000}]}, 0, ProtocolError),
        ({"ok": 1.0, "n": 0, "writeErrors": [7]}, 0, ProtocolError),
        ({"ok": 1.0, "n": 0, "writeErrors": {"index": 0}}, 0, ProtocolError),
        ({"ok": 1.0, "n": 3, "writeConcernError": "late"}, 0, ProtocolError),
        (None, 0, AutoReconnect),
    ],
)
async def test_a_batch_with_any_other_outcome_is_seen_to_with_it(
    reply: dict[str, Any] | None, said: int, error: type[Exception] | None
) -> None:
    played = Played()
    await played.end(reply, None if reply is not None else AWAY)
    [outcome] = played.seen_to
    assert (outcome.said, type(outcome.error)) == (said, error or type(None))
    assert (outcome.fault is None) == (error is not None)
    assert (played.committed, played.took) == ([], [])


async def test_after_a_stop_nobody_learns_what_was_stored() -> None:
    played = Played()
    await played.end(error=asyncio.CancelledError())
    assert [append.done.cancelled() for append in played.batch] == [True, True]
    assert (played.committed, played.took, played.seen_to) == ([], [], [])

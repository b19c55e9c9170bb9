"""One lane of the log: the appends of many sessions, in one ordered insert after another, retried through trouble."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from bson.errors import BSONError
from pymongo.errors import DocumentTooLarge, OperationFailure, PyMongoError

from turnwire.protocol.errors import LogRolledBack, StorageUnavailable
from turnwire.store.condition import DatabaseCondition
from turnwire.store.event_documents import Document, is_same
from turnwire.store.lanes.answers import Answers
from turnwire.store.lanes.appends import (
    SHARES,
    SHARES_OF_ONE,
    PendingAppend,
    RefusedDocument,
    fail_unencodable,
    halve,
    position_before,
    share_out,
)
from turnwire.store.lanes.group_commit import GroupCommit
from turnwire.store.lanes.lines import FairLine
from turnwire.store.lanes.log_reader import LogReader
from turnwire.store.lanes.pace import Pace
from turnwire.store.lanes.quick_insert import Insert, Outcome, QuickInsert
from turnwire.store.lanes.write_errors import Fault, as_failure, blames_document, brief, fault_of, reason_in
from turnwire.store.waiting import pause_after

OVERLAP_BYTES = 32 * 1024
"""An insert of less is not worth its own command beside another. This is about sixty events of a call."""
_TRIES = 5
"""The number of tries after which a document with an unknown fault is refused, if others were stored meanwhile."""
_LOOKS = 5
"""How often a lane verifies the log before an insert, when each look meets new trouble."""
_INSERT = "insert into events"

_log = logging.getLogger("turnwire.store")


class AppendLane:
    """A writer that sees appends through. Owner of its group commit, and of the appends that are set aside.

    The group commit may have two batches in flight. They share nothing but the counts of inserts: an append is in one
    of them, and its session waits for it before the next.

    A problem of one append (a position taken, a document refused, a shard that is away) never delays the others: the
    append is answered, or set aside for a while.
    """

    def __init__(
        self,
        insert: Insert,
        reader: LogReader,
        condition: DatabaseCondition,
        on_commit: Callable[[int, float], None],
        *,
        overlap: bool = False,
    ) -> None:
        """`on_commit` is called after each commit with the number of events stored and the seconds it took. With
        `overlap`, two inserts are under way at full speed: one lane alone takes turns with the database."""
        self._insert_ordered = insert
        self._reader = reader
        self._condition = condition
        self._on_commit = on_commit
        self._lane: GroupCommit[PendingAppend] = GroupCommit(
            self._commit,
            FairLine(SHARES_OF_ONE if overlap else SHARES),
            overlap_weight=OVERLAP_BYTES if overlap else None,
            pace=Pace() if overlap else None,
            quick=QuickInsert(insert, condition, on_commit, took=self._took_all, see_to=self._commit),
        )
        self._answers = Answers()
        self._aside: dict[PendingAppend, asyncio.TimerHandle] = {}
        self._taken = 0
        """The number of inserts that stored something."""
        self._fruitless = 0
        """The number of inserts since then that met trouble before they stored anything."""

    @property
    def waiting_bytes(self) -> int:
        return self._lane.weight + sum(append.weight for append in self._aside)

    def submit(self, append: PendingAppend) -> None:
        append.answers = self._answers
        self._lane.submit(append)

    async def close(self) -> None:
        """Stop writing, and cancel the appends that are not done."""
        await self._lane.close()
        for append, timer in self._aside.items():
            timer.cancel()
            append.done.cancel()
        self._aside.clear()

    def _took_all(self, batch: Sequence[PendingAppend]) -> None:
        """Finish the appends of a batch that is stored as a whole."""
        for append in batch:
            append.advance(append.end)
        self._took()
        self._submit_rest(batch)

    async def _commit(self, batch: Sequence[PendingAppend], outcome: Outcome | None = None) -> None:
        """Finish every append of the batch, or a part of it, or set it aside, retrying through trouble. `outcome`: that
        of a first insert of the whole batch."""
        await self._store(batch, outcome)
        self._submit_rest(batch)

    def _submit_rest(self, batch: Sequence[PendingAppend]) -> None:
        for append in batch:
            if append.is_left:
                append.take_rest()
                self._lane.submit(append, first=True)

    async def _store(self, batch: Sequence[PendingAppend], outcome: Outcome | None) -> None:
        attempt = 0
        most = at_most = sum(len(append.documents) for append in batch)
        while left := [append for append in batch if outcome is not None or append.pending]:
            known, outcome = outcome, None
            try:
                if known is not None:
                    at_most = await self._judge(left, known) or most
                elif left := await self._make_sure_of(left):
                    at_most = await self._insert(left, at_most) or most
                attempt = 0
            except DocumentTooLarge as error:  # as BSON, a batch within our limit may exceed the driver's
                at_most = halve(left[0], at_most, str(error)) or most
            except (BSONError, OverflowError, TypeError, ValueError) as error:
                fail_unencodable(left, error)
            except (PyMongoError, StorageUnavailable) as error:
                if isinstance(error, OperationFailure) and blames_document(error):
                    at_most = halve(left[0], at_most, reason_in(dict(error.details or {}))) or most
                    continue
                self._note(error, len(left), first=attempt == 0)
                for append in left:  # some, all or none may be stored, now or in a moment
                    append.unsure = True
                await asyncio.sleep(pause_after(attempt))
                attempt += 1

    def _note(self, error: PyMongoError | StorageUnavailable, waiting: int, *, first: bool) -> None:
        if isinstance(error, PyMongoError):
            self._condition.trouble(_INSERT, error)
        if first:
            _log.warning("storage trouble: %d appends wait and will be retried: %s", waiting, brief(error))

    async def _make_sure_of(self, appends: list[PendingAppend]) -> list[PendingAppend]:
        """After trouble, verify that the log still holds the event before each append. Return the appends to insert.

        Finishes the appends whose next position is taken. The event there may be our own, or the same event stored
        later by another gateway in a newer epoch; only a caller that reads on from there can tell. Nothing is awaited
        between this check and the insert, so no trouble can come between.
        """
        for _ in range(_LOOKS):
            doubtful = [each for each in appends if each.pending and each.as_of != self._condition.troubles]
            if not doubtful:
                break
            await self._look_for(doubtful)
        return [append for append in appends if append.pending]

    async def _look_for(self, appends: list[PendingAppend]) -> None:
        now = self._condition.troubles
        places = [append.next for append in appends]
        heads = [position_before(place) for place in places if place["seq"] > 1]
        found = await self._reader.found([*places, *heads])
        for append, place in zip(appends, places, strict=True):
            append.as_of = now
            if place["seq"] > 1:
                await self._require_head(append, place, found.get(position_before(place)["_id"]))
            if place["_id"] in found:
                append.finish()

    async def _require_head(self, append: PendingAppend, place: Document, shown: Document | None) -> None:
        """Fail the append if the event before it is missing or is not the known one. `shown` is what a first look has
        found there."""
        session_id, seq, head = place["sessionId"], place["seq"] - 1, append.head
        if shown is not None and (head is None or head.is_of(shown)):
            return
        there = self._reader.holds(session_id, seq) if head is None else self._reader.stands(session_id, head)
        if not await there:
            _log.critical(
                "the log of session %r has lost its end: seq=%d was stored but is no longer there", session_id, seq
            )
            append.fail(LogRolledBack(session_id, seq))

    async def _insert(self, appends: list[PendingAppend], at_most: int) -> int:
        """Insert the documents that are not stored yet, in order, at most `at_most` of them.

        Return the most documents to send next time; 0 means no limit.
        """
        loop = asyncio.get_running_loop()
        documents = [each for append in appends for each in append.documents[append.stored : append.end]]
        del documents[at_most:]
        started = loop.time()
        said, error = await self._insert_ordered(documents)
        return await self._judge(appends, Outcome(loop.time() - started, said, error))

    async def _judge(self, appends: list[PendingAppend], outcome: Outcome) -> int:
        """Finish appends, or a part of them, after an insert of them. Return what `_insert` returns.

        Raises the outcome's error.
        """
        if outcome.error is not None:
            raise outcome.error
        said = outcome.said
        self._on_commit(said, outcome.seconds)
        if outcome.fault is None:
            for append, stored in share_out(appends, said):
                append.advance(stored)
            self._took()
            return 0
        kept = await self._sort_out(share_out(appends, said), outcome.fault)
        return 0 if kept else said  # otherwise the documents before the one that failed are sent again, without it

    def _took(self) -> None:
        self._taken += 1
        self._fruitless = 0
        self._condition.answered += 1
        if self._condition.refusals:
            self._condition.well(_INSERT)

    async def _sort_out(self, said: list[tuple[PendingAppend, int]], error: Document) -> bool:
        """After a write error, read back the documents said to be stored before it. Return whether all of them are.

        Some router versions hide that they are not on a majority. A server may also roll back a whole insert in which
        a validator refuses one document.
        """
        failed, before = said[-1]
        claims = [append.documents[stored - 1] for append, stored in said if stored > append.stored]
        found = await self._reader.found([*claims, failed.documents[before]])
        kept = [stored for append, stored in said if stored > append.stored and self._is_kept(append, stored, found)]
        if kept:
            self._took()
        if len(kept) < len(claims):
            self._condition.troubles += 1
            _log.warning("the database reports %d appends as stored, but not all can be read back", len(claims))
        if failed.stored == before:  # otherwise it is retried, along with the documents missing before it
            self._settle(failed, error, taken=failed.documents[before]["_id"] in found, fruitful=bool(kept))
        return len(kept) == len(claims)

    def _is_kept(self, append: PendingAppend, stored: int, found: dict[str, Document]) -> bool:
        """Return whether the append's first `stored` documents are in the log, judging by the last of them."""
        last = append.documents[stored - 1]
        stands = found.get(last["_id"])
        if stands is not None and is_same(stands, last):
            append.advance(stored)
            return True
        append.unsure = True
        return False

    def _settle(self, append: PendingAppend, error: Document, *, taken: bool, fruitful: bool) -> None:
        """Decide about an append whose next document the database did not write."""
        fault = fault_of(error)
        if taken:  # whatever the error says, the position holds an event
            append.finish()
        elif fault is Fault.REFUSED:
            self._refuse(append, error)
        elif fault is Fault.UNKNOWN:
            self._doubt(append, error)
        else:
            append.unsure = True
            if fault is Fault.TROUBLE:
                self._condition.trouble(_INSERT, as_failure(error))
                self._fruitless += 0 if fruitful else 1
            if self._fruitless > 1:
                raise as_failure(error)
            self._set_aside(append)

    def _doubt(self, append: PendingAppend, error: Document) -> None:
        """Decide about an unknown fault: the document is at fault if others are stored again and again, but not it."""
        if append.tries >= _TRIES and self._taken > append.taken_before:
            self._refuse(append, error)
            return
        if not append.tries:
            append.taken_before = self._taken
            _log.warning("an event was not stored and will be retried: %s", reason_in(error))
        append.unsure = True
        self._set_aside(append)

    def _refuse(self, append: PendingAppend, error: Document) -> None:
        append.fail(RefusedDocument(append.stored, reason_in(error), stored=append.stored))

    def _set_aside(self, append: PendingAppend) -> None:
        append.aside = True
        delay = pause_after(append.tries)
        append.tries += 1
        self._aside[append] = asyncio.get_running_loop().call_later(delay, self._bring_back, append)

    def _bring_back(self, append: PendingAppend) -> None:
        del self._aside[append]
        append.aside = False
        append.take_rest()
        self._lane.submit(append)

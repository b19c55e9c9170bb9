"""The producers of a stream: how far each one has come, by the eventIds in the log, and what it may send next."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal
from weakref import WeakValueDictionary

from msgspec import Struct

from turnwire.gateway.durable_streams.item_ids import ItemId, ProducerRequest
from turnwire.gateway.durable_streams.refusals import SequenceGap, SequenceRegression, StaleEpoch
from turnwire.protocol.errors import ErrorCode, InvalidMessage, TurnwireError
from turnwire.store.event_log import READ_WINDOW, EventLog
from turnwire.store.waiting import storage_deadline

_MOST_STREAMS: Final = 1000
"""The number of streams whose producers are kept in memory. For other streams, the log is read again."""


class _Progress(Struct):
    """The newest request of a producer with items in the log."""

    epoch: int
    seq: int
    is_whole: bool
    """Whether all items of the request are in the log. After a crash, some may be missing."""


class Writers(Struct):
    """What the first `through` events of a log say about their writers."""

    through: int = 0
    producers: dict[str, _Progress] = {}
    stream_seq: str | None = None
    """The highest `Stream-Seq`."""
    is_whole: bool = True
    """Whether all items of the request with that `Stream-Seq` are in the log."""
    as_of: int = 0
    """The number of storage troubles (`EventLog.troubles`) before the log was read."""

    def learn(self, seq: int, event_id: str) -> None:
        """Take in the event at position `seq`. Ignore it if it is known already, or if an earlier one is missing."""
        if seq != self.through + 1:
            return
        self.through = seq
        item = ItemId.read(event_id)
        if item is None:
            return
        is_last = item.index + 1 == item.count
        if item.batch is not None:
            self._learn_batch(item.batch, is_last=is_last)
        if item.stream_seq is not None and not self._is_before(item.stream_seq):
            self.stream_seq, self.is_whole = item.stream_seq, is_last

    def _is_before(self, stream_seq: str) -> bool:
        return self.stream_seq is not None and is_behind(self.stream_seq, stream_seq)

    def _learn_batch(self, batch: ProducerRequest, *, is_last: bool) -> None:
        known = self.producers.get(batch.producer)
        if known is None or (batch.epoch, batch.seq) >= (known.epoch, known.seq):
            self.producers[batch.producer] = _Progress(batch.epoch, batch.seq, is_last)

    def judge(self, batch: ProducerRequest) -> Literal["new", "repeated"]:
        """Return whether a request is still to be stored. A request that was stored only in part counts as new, and
        must be repeated before the next one.

        Raises StaleEpoch, SequenceGap, and InvalidMessage for an epoch that does not begin with seq 0.
        """
        known = self.producers.get(batch.producer)
        if known is not None and batch.epoch < known.epoch:
            raise StaleEpoch(batch.producer, known.epoch)
        if known is None or batch.epoch > known.epoch:
            if batch.seq != 0 and known is not None:
                raise InvalidMessage(f"epoch {batch.epoch} of a producer begins with seq 0, not {batch.seq}")
            expected = 0
        else:
            expected = known.seq + known.is_whole
        if batch.seq > expected:
            raise SequenceGap(batch.producer, expected, batch.seq)
        return "new" if batch.seq == expected else "repeated"

    def check_order(self, stream_seq: str) -> None:
        """Raise SequenceRegression unless this `Stream-Seq` is greater than all others, or repeats the last one after
        only a part of that was stored."""
        if self.stream_seq is None or is_behind(stream_seq, self.stream_seq):
            return
        if self.is_whole or stream_seq != self.stream_seq:
            raise SequenceRegression(self.stream_seq, stream_seq)

    def newest(self, batch: ProducerRequest) -> int:
        """Return the highest seq that the request's producer has reached in the request's epoch."""
        known = self.producers.get(batch.producer)
        return batch.seq if known is None or known.epoch != batch.epoch else max(known.seq, batch.seq)


def is_behind(stream_seq: str, other: str) -> bool:
    return stream_seq.encode() > other.encode()


class AlreadyStored(TurnwireError):
    """The request has been stored in the meantime."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.EVENT_CONFLICT, "the request is stored already")


class Producers:
    """The writers of the most recently written streams. Belongs to the event loop in which it is made."""

    def __init__(self, log: EventLog, *, patience: float) -> None:
        """`patience`: how many seconds a request waits at most for its turn."""
        self._log = log
        self._patience = patience
        self._known: OrderedDict[tuple[str, int | None], Writers] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def one_by_one(self, session_id: str) -> AsyncIterator[None]:
        """Let no other request for the session be judged here until the items of this one are in the log.

        Requests take turns in the order of their arrival. Raises StorageUnavailable if the turn does not come in time.
        """
        lock = self._locks.setdefault(session_id, asyncio.Lock())
        async with storage_deadline(self._patience):
            await lock.acquire()
        try:
            yield
        finally:
            lock.release()

    async def of(self, session_id: str, life: int | None, last_seq: int) -> Writers:
        """Return the writers of a session whose log ends at `last_seq`. Raises StorageUnavailable."""
        key = (session_id, life)
        writers = self._known.get(key)
        troubles = self._log.troubles
        if writers is None or writers.as_of != troubles or writers.through > last_seq:
            writers = Writers(as_of=troubles)  # the end of the log may have been lost
        while writers.through < last_seq:
            last = min(writers.through + READ_WINDOW, last_seq)
            for seq, event_id, _ in await self._log.read_ids(session_id, writers.through + 1, last):
                writers.learn(seq, event_id)
        self._known[key] = writers
        self._known.move_to_end(key)
        if len(self._known) > _MOST_STREAMS:
            self._known.popitem(last=False)
        return writers

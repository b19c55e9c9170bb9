"""The eventIds of items. Each records which request of which producer brought the item, so that the log remembers
it."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

from msgspec import Struct

_PREFIX: Final = "ds"
_PARTS: Final = 6


class ProducerRequest(Struct, frozen=True):
    """One request of a producer: number `seq` of its epoch."""

    producer: str
    epoch: int
    seq: int


class ItemId(Struct, frozen=True, kw_only=True):
    """What an item's eventId records: the item's index in its request, the number of items there, and the sender."""

    index: int
    count: int
    batch: ProducerRequest | None = None
    stream_seq: str | None = None
    """The writer's `Stream-Seq`."""

    @property
    def text(self) -> str:
        batch = self.batch
        sender = "::" if batch is None else f"{quote(batch.producer, safe='')}:{batch.epoch}:{batch.seq}"
        return f"{_PREFIX}:{self.index}/{self.count}:{sender}:{quote(self.stream_seq or '', safe='')}"

    @classmethod
    def read(cls, event_id: str) -> ItemId | None:
        """Parse an eventId. Return None for an event that came with neither a producer nor a `Stream-Seq`."""
        if not event_id.startswith(f"{_PREFIX}:"):
            return None
        parts = event_id.split(":")
        if len(parts) != _PARTS:
            return None
        _, place, producer, epoch, seq, stream_seq = parts
        index, _, count = place.partition("/")
        try:
            batch = ProducerRequest(unquote(producer), int(epoch), int(seq)) if producer else None
            return cls(index=int(index), count=int(count), batch=batch, stream_seq=unquote(stream_seq) or None)
        except ValueError:
            return None

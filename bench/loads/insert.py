"""The floor of storing: pymongo's insert_many of the same events, one batch after another."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from pymongo import MongoClient, WriteConcern

from bench.events import long_call
from bench.meter import Figures, Meter, Target, latencies_ms


class Insert(Struct, frozen=True, kw_only=True, tag=True):
    """A load of documents like the gateway's, without an index but `_id`. `target.url` is the database's URI."""

    target: Target
    database: str
    prefix: str
    batches: dict[str, int]
    """Size of a batch → number of batches."""
    paced: int = 200
    """Single inserts per second, to time one on an idle database. Their number is that of the smallest batches."""

    async def run(self) -> Figures:
        return await asyncio.to_thread(self._run)

    def _run(self) -> Figures:
        client: MongoClient[dict[str, Any]] = MongoClient(self.target.url)
        events = client.get_database(self.database, write_concern=WriteConcern(w="majority", j=True))["floor"]
        events.insert_many(self._documents("warm", 10), ordered=True)
        figures: Figures = {}
        for size, count in self.batches.items():
            documents = self._documents(size, int(size) * count)
            meter, spans = Meter(self.target), []
            meter.start()
            for start in range(0, len(documents), int(size)):
                began = time.perf_counter()
                events.insert_many(documents[start : start + int(size)], ordered=True)
                spans.append(time.perf_counter() - began)
            meter.stop()
            spent = {**meter.per(len(documents), "documents"), **latencies_ms("insert", spans)}
            spent.pop("server_us")
            figures |= {f"{name}_{size}": value for name, value in spent.items()}
        figures |= latencies_ms("paced_insert", self._paced_inserts(events))
        client.close()
        return figures

    def _paced_inserts(self, events: Any) -> list[float]:
        spans = []
        due = time.perf_counter()
        for document in self._documents("paced", max(self.batches.values())):
            due += 1 / self.paced
            time.sleep(max(0.0, due - time.perf_counter()))
            began = time.perf_counter()
            events.insert_one(document)
            spans.append(time.perf_counter() - began)
        return spans

    def _documents(self, name: str, count: int) -> list[dict[str, Any]]:
        session_id = f"{self.prefix}-{name}"
        now = datetime.now(UTC)
        return [
            {
                "_id": f"{session_id}/{seq:010d}",
                "sessionId": session_id,
                "seq": seq,
                "eventId": event["eventId"],
                "type": event["type"],
                "payload": event["payload"],
                "timestamp": now,
            }
            for seq, event in enumerate(long_call(session_id, count).events, start=1)
        ]

"""REST: appending single events side by side, and reading pages of short and long sessions."""

from __future__ import annotations

import asyncio
import time
from itertools import islice

import msgspec
from msgspec import Struct

from bench.events import long_call
from bench.meter import Figures, Meter, Target, latencies_ms
from bench.wire import HttpConnection, http_request

_FILL = 500
_PAGE = 20


class Posts(Struct, frozen=True, kw_only=True, tag=True):
    """A load of `POST /sessions/{id}/events`, one event each, over `concurrency` connections with a session each."""

    target: Target
    prefix: str
    requests: int
    concurrency: int = 64

    async def run(self) -> Figures:
        each = max(2, self.requests // self.concurrency)
        connections = [await HttpConnection.connect(self.target.address) for _ in range(self.concurrency)]
        requests = []
        for number, connection in enumerate(connections):
            session_id = f"{self.prefix}-{number}"
            await connection.ask(_create(session_id))
            path = f"/sessions/{session_id}/events"
            events = long_call(session_id, each).events
            requests.append([http_request("POST", path, msgspec.json.encode(event)) for event in events])
        latencies: list[float] = []
        meter = Meter(self.target)
        warm = max(1, each // 10)
        await asyncio.gather(*map(_ask_all, connections, (some[:warm] for some in requests), ([] for _ in requests)))
        meter.start()
        rest = (some[warm:] for some in requests)
        await asyncio.gather(*map(_ask_all, connections, rest, (latencies for _ in requests)))
        meter.stop()
        for connection in connections:
            connection.close()
        return {**meter.per(len(latencies), "requests"), **latencies_ms("answer", latencies)}


class History(Struct, frozen=True, kw_only=True, tag=True):
    """A load of pages and windows of sessions of several lengths, at their start, middle and end."""

    target: Target
    prefix: str
    lengths: list[int]
    repeats: int

    async def run(self) -> Figures:
        """Return, for each length, the CPU of gateway and database and the latency of a page and of a window."""
        connection = await HttpConnection.connect(self.target.address)
        for length in self.lengths:
            await self._fill(connection, length)
        cases = [(kind, length) for kind in ("page", "window") for length in self.lengths]
        meters = {case: Meter(self.target) for case in cases}
        latencies: dict[tuple[str, int], list[float]] = {case: [] for case in cases}
        for _ in range(self.repeats):
            for case in cases:
                requests = self._requests(*case)
                meters[case].start()
                await _ask_all(connection, requests, latencies[case])
                meters[case].stop()
        connection.close()
        figures: Figures = {}
        for kind, length in cases:
            spent = meters[kind, length].per(len(latencies[kind, length]), "requests")
            figures |= {
                f"{kind}_{length}_cpu_us": spent["server_us"] + spent.get("database_us", 0.0),
                f"{kind}_{length}_p50_ms": latencies_ms("x", latencies[kind, length])["x_p50_ms"],
            }
        return figures

    def _session_id(self, length: int) -> str:
        return f"{self.prefix}-{length}"

    async def _fill(self, connection: HttpConnection, length: int) -> None:
        session_id = self._session_id(length)
        await connection.ask(_create(session_id))
        events = iter(long_call(session_id, length).events)
        while some := list(islice(events, _FILL)):
            body = msgspec.json.encode({"events": some})
            await connection.ask(http_request("POST", f"/sessions/{session_id}/events", body))

    def _requests(self, kind: str, length: int) -> list[bytes]:
        path = f"/sessions/{self._session_id(length)}"
        last = length // _PAGE
        pages = (1, (last + 1) // 2, last)
        if kind == "page":
            return [http_request("GET", f"{path}?page={page}&limit={_PAGE}") for page in pages]
        return [http_request("GET", f"{path}/events?afterSeq={(page - 1) * _PAGE}&limit={_PAGE}") for page in pages]


def _create(session_id: str) -> bytes:
    return http_request("POST", "/sessions", msgspec.json.encode({"sessionId": session_id, "language": "en"}))


async def _ask_all(connection: HttpConnection, requests: list[bytes], latencies: list[float]) -> None:
    for request in requests:
        began = time.perf_counter()
        await connection.ask(request)
        latencies.append(time.perf_counter() - began)

"""`GET /metrics`, for Prometheus, and `GET /metrics/recent`, for plots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from aiohttp import hdrs, web
from prometheus_client.exposition import choose_encoder, generate_latest

from turnwire.gateway.access.guard import principal_of
from turnwire.gateway.http.answers import json_answer
from turnwire.gateway.http.query import Query
from turnwire.gateway.telemetry.metrics import Metrics
from turnwire.gateway.telemetry.recent import Reading, Recent, as_series, together
from turnwire.gateway.telemetry.summing import summed
from turnwire.protocol.rights import Scope
from turnwire.store.probe import StorageProbe


class Siblings(Protocol):
    """The other workers that share this one's port."""

    async def expositions(self) -> Sequence[str]:
        """Return the metrics of each sibling that answers, as Prometheus text."""

    async def readings(self) -> Sequence[Reading]:
        """Return the recent readings of all siblings that answer."""


class MetricsRoute:
    def __init__(self, metrics: Metrics, recent: Recent, probe: StorageProbe, siblings: Siblings | None = None) -> None:
        """With `siblings`, the routes answer with the sum over them and this gateway."""
        self._metrics = metrics
        self._recent = recent
        self._probe = probe
        self._siblings = siblings

    async def read_metrics(self, request: web.Request) -> web.Response:
        principal_of(request).require(Scope.METRICS)
        self._metrics.storage_up = await self._probe.is_up()
        encode, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
        registry = self._metrics.registry
        if self._siblings is not None:
            own = generate_latest(registry).decode()
            registry = summed([own, *await self._siblings.expositions()])
        headers = {hdrs.CONTENT_TYPE: content_type, hdrs.CACHE_CONTROL: "no-store"}
        return web.Response(body=encode(registry), headers=headers)

    async def read_recent(self, request: web.Request) -> web.Response:
        principal_of(request).require(Scope.METRICS)
        query = Query(request)
        after = query.integer("afterMs", 0, low=0)
        query.check()
        readings: Iterable[Reading] = self._recent.readings
        if self._siblings is not None:
            readings = together([*readings, *await self._siblings.readings()])
        answer = json_answer(as_series([each for each in readings if each.at * 1000 > after]))
        answer.headers[hdrs.CACHE_CONTROL] = "no-store"
        return answer

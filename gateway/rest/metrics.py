"""`GET /metrics`, for Prometheus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aiohttp import hdrs, web
from prometheus_client.exposition import choose_encoder, generate_latest

from turnwire.gateway.access.guard import principal_of
from turnwire.gateway.telemetry.metrics import Metrics
from turnwire.gateway.telemetry.summing import summed
from turnwire.protocol.rights import Scope
from turnwire.store.probe import StorageProbe


class Siblings(Protocol):
    """The other workers that share this one's port."""

    async def expositions(self) -> Sequence[str]:
        """Return the metrics of each sibling that answers, as Prometheus text."""


class MetricsRoute:
    def __init__(self, metrics: Metrics, probe: StorageProbe, siblings: Siblings | None = None) -> None:
        """With `siblings`, the route answers with the sum over them and this gateway."""
        self._metrics = metrics
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

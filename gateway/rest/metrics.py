"""`GET /metrics`, for Prometheus."""

from __future__ import annotations

from aiohttp import hdrs, web
from prometheus_client.exposition import choose_encoder

from turnwire.gateway.access.guard import principal_of
from turnwire.gateway.telemetry.metrics import Metrics
from turnwire.protocol.rights import Scope
from turnwire.store.probe import StorageProbe


class MetricsRoute:
    def __init__(self, metrics: Metrics, probe: StorageProbe) -> None:
        self._metrics = metrics
        self._probe = probe

    async def read_metrics(self, request: web.Request) -> web.Response:
        principal_of(request).require(Scope.METRICS)
        self._metrics.storage_up = await self._probe.is_up()
        encode, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
        body = encode(self._metrics.registry)
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type, hdrs.CACHE_CONTROL: "no-store"})

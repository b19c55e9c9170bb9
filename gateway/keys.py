"""Where the application keeps what its handlers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.hub import Hub
    from gateway.metrics import Metrics

HUB: web.AppKey[Hub] = web.AppKey("hub")
CONFIG: web.AppKey[Config] = web.AppKey("config")
METRICS: web.AppKey[Metrics] = web.AppKey("metrics")

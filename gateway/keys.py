"""Where the application keeps what its handlers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from turnwire.gateway.config import Config
    from turnwire.gateway.sessions.live_sessions import Hub
    from turnwire.gateway.telemetry.metrics import Metrics

HUB: web.AppKey[Hub] = web.AppKey("hub")
CONFIG: web.AppKey[Config] = web.AppKey("config")
METRICS: web.AppKey[Metrics] = web.AppKey("metrics")

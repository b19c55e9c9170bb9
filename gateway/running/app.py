"""The wiring of the application, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from aiohttp import web

from turnwire.gateway.config import Config
from turnwire.gateway.http.headers import add_headers
from turnwire.gateway.http.server import HttpRunner
from turnwire.gateway.keys import CONFIG, HUB, METRICS
from turnwire.gateway.running.drain import drain as drain_hub
from turnwire.gateway.running.routes import add_rest_routes
from turnwire.gateway.sessions.live_sessions import Hub
from turnwire.gateway.sockets.publisher import publish
from turnwire.gateway.sockets.subscriber import subscribe
from turnwire.gateway.telemetry.metrics import Metrics
from turnwire.store.mongo import Store

_access_log = logging.getLogger("aiohttp.access")
_SHUTDOWN_SECONDS = 1.0
"""What handlers get to end by themselves after the drain."""


def build_app(config: Config, store: Store) -> web.Application:
    """The gateway on this store. Belongs to the event loop it starts in."""
    app = web.Application(client_max_size=config.max_frame_bytes)
    app[CONFIG] = config
    app[METRICS] = Metrics()

    async def run_hub(app: web.Application) -> AsyncIterator[None]:
        hub = app[HUB] = Hub(config, store, app[METRICS])
        app[METRICS].watch(hub)
        hub.start()
        yield
        await hub.stop()

    app.cleanup_ctx.append(run_hub)
    add_rest_routes(app)
    app.router.add_get("/sessions/{session_id:[^/]*}/publish", publish)
    app.router.add_get("/subscribe", subscribe)
    add_headers(app, config)
    return app


def make_runner(app: web.Application, config: Config) -> web.AppRunner:
    """What serves the app. Each request is logged at level debug only; the metrics count them."""
    return HttpRunner(
        app,
        header_timeout=config.header_timeout,
        shutdown_timeout=_SHUTDOWN_SECONDS,
        access_log=_access_log if config.log_level == "debug" else None,
    )


async def drain(app: web.Application) -> None:
    """Let go of all connections, as on SIGTERM."""
    await drain_hub(app[HUB])

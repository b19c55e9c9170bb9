"""The wiring of webhooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from turnwire.gateway.config import Config
from turnwire.gateway.running.periodic import Periodic
from turnwire.gateway.running.sessions import SessionParts
from turnwire.gateway.telemetry.metrics import Gauge
from turnwire.gateway.webhooks.courier import Courier
from turnwire.gateway.webhooks.registry import Registry
from turnwire.gateway.webhooks.round import Parts
from turnwire.gateway.webhooks.telling import Counts
from turnwire.gateway.webhooks.webhooks import Webhooks


class TellingParts:
    """All parts of webhooks. While no endpoint is registered, they cost one small read now and then."""

    def __init__(self, config: Config, parts: SessionParts, clock: Callable[[], float]) -> None:
        store = parts.store
        self._counts = Counts()
        self._courier = Courier(parts.turns, timeout=config.webhook_timeout, allow_private=config.webhook_allow_private)
        shared = Parts(
            requests=parts.requests,
            log=store.events,
            endpoints=store.webhooks,
            progress=store.webhook_progress,
            sending=self._courier,
            counts=self._counts,
            clock=clock,
            end_grace=config.end_grace,
            most_sessions=config.max_webhook_sessions,
            shared=config.mongodb_uri is not None,
        )
        self._webhooks = Webhooks(shared, parts.feed)
        self._prepared = parts.sessions.prepared
        self.registry = Registry(
            store.webhooks,
            store.webhook_progress,
            self._courier,
            self._webhooks.look_soon,
            most=config.max_webhooks,
            allow_private=config.webhook_allow_private,
        )
        self.registry.newest_report = self._webhooks.report

    def start(self, periodic: Periodic) -> None:
        periodic.begin(self._webhooks.run(self._prepared))

    async def stop(self) -> None:
        """Leave the endpoints to other gateways. Call this after `run` has ended."""
        await self._webhooks.stop()
        await self._courier.close()

    def counts(self) -> Iterator[Gauge]:
        counts = self._counts
        yield "webhook_messages_delivered", "Messages that endpoints of webhooks have accepted.", counts.delivered
        yield "webhook_messages_failed", "Attempts to send a message that an endpoint did not accept.", counts.failed
        yield "webhook_disabled", "Webhooks disabled because their endpoints accepted no messages.", counts.disabled

    def gauges(self) -> Iterator[Gauge]:
        yield "webhooks", "Webhooks that are registered.", len(self._webhooks.endpoints)
        yield "webhooks_disabled", "Webhooks that are disabled.", self._webhooks.disabled
        yield (
            "webhook_sessions_waiting",
            "Sessions about which webhooks served here have messages still to send.",
            self._webhooks.waiting,
        )

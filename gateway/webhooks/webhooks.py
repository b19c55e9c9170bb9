"""The webhooks of one gateway: which endpoints it serves, and how it learns of changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Final
from uuid import uuid4

from turnwire.gateway.watching.feed import Change, Feed
from turnwire.gateway.webhooks.round import Parts, Round
from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import SessionStatus
from turnwire.store.telling.endpoints import Endpoint, Lease, Report

LOOK_SECONDS: Final = 5.0
"""Pause between two looks at the endpoints in the store, where other gateways may change them."""
LEASE_SECONDS: Final = 20.0
"""A gateway that has not renewed its lease for this long has lost it to any other gateway."""
_ALONE_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 1.0
_log = logging.getLogger("turnwire.webhooks")


class Webhooks:
    """Serves endpoints. Each endpoint is served by one gateway, which holds a lease on it in the store.

    While it serves at least one, it subscribes to the feed of sessions, so the path of an event knows nothing of
    webhooks. Owned by the task that calls `run`.
    """

    def __init__(self, parts: Parts, feed: Feed) -> None:
        self._parts = parts
        self._feed = feed
        self._name = uuid4().hex
        self._rounds: dict[str, Round] = {}
        self._seen: dict[str, tuple[Lease, float]] = {}
        """The leases of other gateways, and the time since which each has not changed, on the loop's clock."""
        self._changed = asyncio.Event()
        self.endpoints: list[Endpoint] = []
        """All endpoints, as of the last look."""

    # --- told by the feed --------------------------------------------------------------------------------------------

    def offer(self, change: Change, statuses: set[SessionStatus]) -> None:
        for served in self._rounds.values():
            served.changed(change.session)

    def erased(self, session_id: str) -> None:
        for served in self._rounds.values():
            served.erased(session_id)

    def push(self) -> None:
        """Do nothing: the rounds send what the feed has offered."""

    # --- which endpoints ---------------------------------------------------------------------------------------------

    def look_soon(self) -> None:
        """Look again soon, because an endpoint has changed in the store."""
        self._changed.set()

    def report(self, endpoint: Endpoint) -> Report | None:
        """Return the state of an endpoint that is served here in its present round; None for any other."""
        served = self._rounds.get(endpoint.webhook_id)
        return None if served is None or served.endpoint.round != endpoint.round else served.report()

    async def run(self, prepared: asyncio.Event) -> None:
        """Serve endpoints for as long as the gateway runs."""
        await prepared.wait()
        while True:
            self._changed.clear()
            pause = LOOK_SECONDS if self._parts.shared else _ALONE_SECONDS
            try:
                await self._look()
            except StorageUnavailable:
                pause = _RETRY_SECONDS
            except Exception:
                _log.exception("unexpected error while looking at the webhooks")
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()

    async def _look(self) -> None:
        """Start serving the endpoints that may be served here, and stop serving those that may not. Raises
        StorageUnavailable."""
        self.endpoints = await self._parts.endpoints.all()
        known = {each.webhook_id: each for each in self.endpoints}
        for webhook_id, served in tuple(self._rounds.items()):
            endpoint = known.get(webhook_id)
            if endpoint is None or endpoint.round != served.endpoint.round:
                await self._drop(webhook_id, served)
            elif served.lost or endpoint.disabled_at is not None or not await self._renew(served, endpoint):
                del self._rounds[webhook_id]
                await served.stop()
        for endpoint in self.endpoints:
            if endpoint.disabled_at is None and endpoint.webhook_id not in self._rounds and self._is_free(endpoint):
                await self._take(endpoint)
        if self._rounds:
            self._feed.subscriptions.add(self)
        else:
            self._feed.subscriptions.discard(self)

    def _is_free(self, endpoint: Endpoint) -> bool:
        """Return whether nobody serves the endpoint, judged by this gateway's own clock."""
        if not self._parts.shared or endpoint.lease.holder in (None, self._name):
            return True
        now = self._parts.clock()
        lease, since = self._seen.get(endpoint.webhook_id, (None, now))
        if lease != endpoint.lease:
            since = now
        self._seen[endpoint.webhook_id] = endpoint.lease, since
        return now - since >= LEASE_SECONDS

    async def _take(self, endpoint: Endpoint) -> None:
        if not await self._parts.endpoints.take(endpoint.webhook_id, endpoint.lease, self._name):
            return  # another gateway was faster
        endpoint.lease = Lease(self._name, endpoint.lease.beat + 1)
        self._seen.pop(endpoint.webhook_id, None)
        self._feed.subscriptions.add(self)  # subscribe before the search for sessions, so that none is missed
        self._rounds[endpoint.webhook_id] = served = Round(endpoint, self._parts, self.look_soon)
        served.start()
        _log.info("webhook %s is served here", endpoint.webhook_id)

    async def _renew(self, served: Round, endpoint: Endpoint) -> bool:
        """Renew the lease, and adopt an operator's changes. Return False if another gateway holds the lease."""
        if endpoint.lease.holder != self._name:
            return False
        if not await self._parts.endpoints.take(endpoint.webhook_id, endpoint.lease, self._name):
            return False
        endpoint.lease = Lease(self._name, endpoint.lease.beat + 1)
        if _settings(endpoint) != _settings(served.endpoint):
            served.configure(endpoint)
        return True

    async def _drop(self, webhook_id: str, served: Round) -> None:
        """Stop a round that is over for good, and remove the progress that it has written."""
        del self._rounds[webhook_id]
        await served.stop(write=False)
        await self._parts.progress.clear(served.endpoint.progress_key)

    async def stop(self) -> None:
        """Stop serving, and release the endpoints to other gateways, within `_STOP_SECONDS`."""
        self._feed.subscriptions.discard(self)
        rounds, self._rounds = self._rounds, {}
        if not rounds:
            return  # there is nothing to release, so a database that does not answer is not waited for
        with suppress(TimeoutError, StorageUnavailable):
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.gather(*(served.stop() for served in rounds.values()))
                await self._release(rounds)

    async def _release(self, webhook_ids: Iterable[str]) -> None:
        for endpoint in await self._parts.endpoints.all():
            if endpoint.webhook_id in webhook_ids and endpoint.lease.holder == self._name:
                await self._parts.endpoints.take(endpoint.webhook_id, endpoint.lease, None)

    # --- metrics -----------------------------------------------------------------------------------------------------

    @property
    def disabled(self) -> int:
        """The number of disabled endpoints."""
        return sum(endpoint.disabled_at is not None for endpoint in self.endpoints)

    @property
    def waiting(self) -> int:
        """The number of sessions that an endpoint served here is still to be told about."""
        return sum(served.waiting for served in self._rounds.values())


def _settings(endpoint: Endpoint) -> tuple[object, ...]:
    """Return the fields that an operator may change."""
    return endpoint.url, endpoint.events, endpoint.secrets, endpoint.enabled_at

"""Queuing a publisher's events: whether there is room, waiting for it, and dropping events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from turnwire.errors import PublisherClosed
from turnwire.publishing.delivery import Delivery
from turnwire.publishing.life import PublisherLife
from turnwire.publishing.outbox import Entry

log = logging.getLogger("turnwire")


class Intake:
    """The entrance to a publisher's outbox: `post` queues at once or not at all, `send` waits for room."""

    def __init__(self, session_id: str, delivery: Delivery, life: PublisherLife) -> None:
        self._session_id = session_id
        self._delivery = delivery
        self._life = life
        self._admission = asyncio.Lock()
        self._taken = 0

    def begin(self) -> None:
        """Count the events that an earlier process left in the outbox, which is now open."""
        self._taken = len(self._delivery.outbox)

    def post(self, entry: Entry) -> None:
        """Queue an event, or drop it and count it. From another thread, do so on the publisher's own."""
        if not self._life.call(self._post, entry):
            self._drop("its event loop is closed")

    def _post(self, entry: Entry) -> None:
        obstacle = self._obstacle()
        if obstacle is None:
            try:
                self._take(entry, self._delivery.outbox.add_anyhow)
            except OverflowError as error:
                obstacle = str(error)
        if obstacle is not None:
            self._drop(obstacle)

    def _drop(self, obstacle: str) -> None:
        self._delivery.dropped += 1
        if self._delivery.dropped == 1:
            log.warning("the publisher of %r drops events: %s", self._session_id, obstacle)

    def hint(self, key: str, payload: bytes) -> None:
        """Queue a signal, its payload encoded; drop it if no connection is open."""
        self._life.call(self._hint, key, payload)

    def _hint(self, key: str, payload: bytes) -> None:
        self._delivery.add_signal(key, payload)
        self._life.work()

    async def send(self, entry: Entry) -> None:
        """Queue an event once there is room, in the order of the callers. Raises as `check` does, and SpoolError."""
        async with self._admission:
            self.check()
            outbox = self._delivery.outbox
            if outbox.is_full:
                await self._life.until(lambda: not outbox.is_full)
                self.check()
            self._take(entry, outbox.add)

    async def answered(self) -> None:
        """Wait until every event queued so far has its answer."""
        target, outbox = self._taken, self._delivery.outbox
        await self._life.until(lambda: self._taken - len(outbox) >= target)

    def check(self) -> None:
        """Raise the reason if the publisher accepts nothing more."""
        self._life.check()
        if self._delivery.ending is not None:
            raise PublisherClosed("the session has been asked to end and accepts nothing more from this publisher")

    def _take(self, entry: Entry, add: Callable[[Entry], None]) -> None:
        add(entry)
        self._taken += 1
        self._life.work()

    def _obstacle(self) -> str | None:
        """Return why no event can be queued now, or None."""
        if not self._life.has_started:
            return "it is not open"
        if self._life.failure is not None:
            return str(self._life.failure)
        if self._delivery.ending is not None:
            return "the session has been asked to end"
        outbox = self._delivery.outbox
        return None if outbox.has_room else f"{len(outbox)} wait already"

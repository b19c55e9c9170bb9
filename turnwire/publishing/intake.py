"""What a publisher takes in: whether an event can be taken, by whom it is waited for, and what is dropped."""

from __future__ import annotations

import asyncio
import logging

from turnwire.errors import PublisherClosed, SpoolError
from turnwire.publishing.delivery import Delivery
from turnwire.publishing.life import PublisherLife
from turnwire.publishing.outbox import Entry

log = logging.getLogger("turnwire")


class Intake:
    """The way of events into a publisher's outbox: at once or not at all, or when there is room."""

    def __init__(self, session_id: str, delivery: Delivery, life: PublisherLife) -> None:
        self._session_id = session_id
        self._delivery = delivery
        self._life = life
        self._admission = asyncio.Lock()
        self._taken = 0

    def begin(self) -> None:
        """The outbox is open, and may hold what an earlier process has left."""
        self._taken = len(self._delivery.outbox)

    def post(self, entry: Entry) -> None:
        """Take it, or drop it and count it."""
        obstacle = self._obstacle()
        if obstacle is None:
            try:
                self._take(entry)
            except SpoolError as error:
                obstacle = str(error)
        if obstacle is not None:
            self._delivery.dropped += 1
            if self._delivery.dropped == 1:
                log.warning("the publisher of %r drops events: %s", self._session_id, obstacle)

    async def send(self, entry: Entry) -> None:
        """Take it once there is room, in the order of the callers. Raises PublisherClosed and the like, SpoolError."""
        async with self._admission:
            self.check()
            outbox = self._delivery.outbox
            if outbox.is_full:
                await self._life.until(lambda: not outbox.is_full)
                self.check()
            self._take(entry)

    async def answered(self) -> None:
        """Returns when all that has been taken until now has its answer."""
        target, outbox = self._taken, self._delivery.outbox
        await self._life.until(lambda: self._taken - len(outbox) >= target)

    def check(self) -> None:
        """Raises why nothing more is taken."""
        self._life.check()
        if self._delivery.ending is not None:
            raise PublisherClosed("the session has been asked to end and takes nothing more from this publisher")

    def _take(self, entry: Entry) -> None:
        self._delivery.outbox.add(entry)
        self._taken += 1
        self._life.work()

    def _obstacle(self) -> str | None:
        """Why no event can be taken now."""
        if not self._life.has_started:
            return "it is not open"
        if self._life.failure is not None:
            return str(self._life.failure)
        if self._delivery.ending is not None:
            return "the session has been asked to end"
        outbox = self._delivery.outbox
        return None if outbox.has_room else f"{len(outbox)} wait already"

"""A service that is told of sessions, in virtual time, and the webhooks of a gateway that tell it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tests.support.in_memory import MemoryGateway
from turnwire.gateway.webhooks.messages import Message
from turnwire.gateway.webhooks.registry import Registry
from turnwire.gateway.webhooks.round import Parts
from turnwire.gateway.webhooks.sending import NotTaken
from turnwire.gateway.webhooks.telling import Counts
from turnwire.gateway.webhooks.webhooks import Webhooks
from turnwire.protocol.telling.shapes import NewWebhook

URL = "https://example.com/hook"


class Receiver:
    """Takes messages, unless `refuses` says why not."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Any]] = []
        """(message id, body) of each message, in the order in which they were taken."""
        self.attempts: list[tuple[float, str]] = []
        """(time, sessionId) of each attempt."""
        self.refuses: Callable[[Any], NotTaken | None] = lambda body: None
        self.never_answers: Callable[[Any], bool] = lambda body: False
        self.secrets: list[Sequence[str]] = []

    async def send(self, url: str, message: Message, secrets: Sequence[str]) -> None:
        await asyncio.sleep(0.001)
        body = msgspec.json.decode(message.body)
        if self.never_answers(body):
            await asyncio.Event().wait()
        self.attempts.append((asyncio.get_running_loop().time(), body["data"].get("sessionId", "")))
        self.secrets.append(secrets)
        refusal = self.refuses(body)
        if refusal is not None:
            raise refusal
        self.taken.append((message.id, body))

    def told(self, session_id: str = "s") -> list[str]:
        """The types of the messages about a session; events by their eventId."""
        found = [body for _, body in self.taken if body["data"].get("sessionId") == session_id]
        return [body["data"]["event"]["eventId"] if "event" in body["data"] else body["type"] for body in found]


class Teller:
    """The webhooks of one gateway."""

    def __init__(self, gateway: MemoryGateway, receiver: Receiver, *, most_sessions: int = 1000) -> None:
        store, parts = gateway.store, gateway.parts
        self.counts = Counts()
        self.webhooks = Webhooks(
            Parts(
                requests=parts.requests,
                log=store.events,
                endpoints=store.webhooks,
                progress=store.webhook_progress,
                sending=receiver,
                counts=self.counts,
                clock=asyncio.get_running_loop().time,
                end_grace=gateway.config.end_grace,
                most_sessions=most_sessions,
                shared=gateway.config.mongodb_uri is not None,
            ),
            parts.feed,
        )
        self.registry = Registry(
            store.webhooks,
            store.webhook_progress,
            receiver,
            self.webhooks.look_soon,
            most=2,
            allow_private=False,
        )
        self.registry.newest_report = self.webhooks.report
        self._gateway = gateway
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self.webhooks.run(self._gateway.sessions.prepared))
        self._gateway.start()

    async def add(self, *events: str, webhook_id: str = "hook") -> str:
        """Register an endpoint, and wait until it is served. Return its secret."""
        added, _ = await self.registry.add(NewWebhook(url=URL, events=list(events), webhook_id=webhook_id))
        await asyncio.sleep(6)
        return str(getattr(added, "secret", ""))

    async def stop(self) -> None:
        await self._end_task()
        await self.webhooks.stop()

    async def kill(self) -> None:
        """End as by kill -9: nothing more is written."""
        self._gateway.line.cut = True
        await self._end_task()
        await self.webhooks.stop()

    async def _end_task(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

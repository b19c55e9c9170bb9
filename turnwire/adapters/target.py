"""The methods of a publisher that adapters need."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from turnwire.protocol.messages import EventType, FinalStatus, JsonObject, Session
from turnwire.publishing.commands import CommandHandler


class Target(Protocol):
    """A receiver of events and hints that never waits: a `Publisher`, or a collector."""

    def post(
        self,
        type: EventType,
        payload: JsonObject,
        *,
        event_id: str | None = None,
        timestamp: datetime | str | None = None,
    ) -> str: ...

    def hint(self, key: str, payload: JsonObject) -> None: ...


class CommandTarget(Protocol):
    """A publisher whose commands an adapter carries out."""

    def on_command(self, handler: CommandHandler, *commands: str) -> None: ...


class PublisherTarget(Target, CommandTarget, Protocol):
    """A target that also receives commands."""


class CallTarget(PublisherTarget, Protocol):
    """A target whose session the adapter starts and ends."""

    session_id: str

    def start(self) -> None: ...

    async def complete(
        self, status: FinalStatus = "completed", reason: str | None = None, *, timeout: float | None = None
    ) -> Session: ...

    async def aclose(self) -> None: ...

"""What an adapter needs of a publisher."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from turnwire.protocol.messages import EventType, FinalStatus, JsonObject, Session
from turnwire.publishing.commands import CommandHandler


class Target(Protocol):
    """Takes events and hints at once, without waiting: a `Publisher`, or a list in the making."""

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
    """Takes events, and has commands to be carried out."""


class CallTarget(PublisherTarget, Protocol):
    """A target whose session an adapter begins and ends."""

    session_id: str

    def start(self) -> None: ...

    async def complete(
        self, status: FinalStatus = "completed", reason: str | None = None, *, timeout: float | None = None
    ) -> Session: ...

    async def aclose(self) -> None: ...

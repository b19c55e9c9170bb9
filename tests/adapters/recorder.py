"""A publisher that keeps what it is given, in the order given."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from typing import Any

from turnwire.adapters.mapped import Hint
from turnwire.protocol.control.messages import CommandPush
from turnwire.protocol.messages import EventIn, EventType, FinalStatus, JsonObject, Session
from turnwire.protocol.times import format_time
from turnwire.publishing.commands import CommandHandler


class Recorder:
    """Has the methods of `Publisher` that adapters use."""

    session_id = "call-1"

    def __init__(self) -> None:
        self.items: list[EventIn | Hint] = []
        self.handlers: dict[str, CommandHandler] = {}
        self.is_started = False
        self.ended: tuple[FinalStatus, str | None] | None = None

    def start(self) -> None:
        assert not self.is_started
        self.is_started = True

    def post(
        self,
        type: EventType,
        payload: JsonObject,
        *,
        event_id: str | None = None,
        timestamp: datetime | str | None = None,
    ) -> str:
        assert not isinstance(timestamp, str)
        event_id = event_id or f"event-{len(self.items)}"
        self.items.append(EventIn(event_id, type, payload, timestamp))
        return event_id

    def hint(self, key: str, payload: JsonObject) -> None:
        self.items.append(Hint(key, payload))

    def on_command(self, handler: CommandHandler, *commands: str) -> None:
        self.handlers.update(dict.fromkeys(commands, handler))

    async def asked(self, command: str, **payload: Any) -> str | None:
        """What comes of a command: the text of its result."""
        answer = self.handlers[command](CommandPush(command, command, payload, "ada", "2099-01-01T00:00:00.000Z"))
        return await answer if inspect.isawaitable(answer) else answer

    async def complete(
        self, status: FinalStatus = "completed", reason: str | None = None, *, timeout: float | None = None
    ) -> Session:
        self.ended = (status, reason)
        now = format_time(datetime.now(UTC))
        return Session(
            session_id=self.session_id,
            status=status,
            language="und",
            started_at=now,
            ended_at=now,
            metadata={},
            last_seq=len(self.events),
            last_event_at=now,
            end_reason=reason,
        )

    async def aclose(self) -> None:
        assert self.is_started

    # What tests query

    @property
    def events(self) -> list[EventIn]:
        return [item for item in self.items if isinstance(item, EventIn)]

    def payloads(self, *names: str) -> list[dict[str, Any]]:
        """Return payloads of these types, or of system events with these names; without names, of all but states."""
        told = [
            (item.payload.get("event", item.type) if item.type == "system" else item.type, item.payload)
            for item in self.events
        ]
        return [payload for name, payload in told if name in names or (not names and not name.endswith(".state"))]

    def hints(self, key: str) -> list[dict[str, Any]]:
        return [item.payload for item in self.items if isinstance(item, Hint) and item.key == key]

"""The bus between gateways. It stores nothing, and may lose, delay, duplicate and reorder messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class BusAway(Exception):
    """The bus cannot be reached, or has closed the connection. The text is for people and holds no secrets."""


class Bus(Protocol):
    """One gateway's connection to the bus. Every method but `close` raises BusAway."""

    async def connect(self, topics: Iterable[str]) -> None:
        """Connect, or reconnect, and subscribe to these topics. The caller sets a time limit: this may hang."""

    async def receive(self) -> bytes:
        """Return the next message on the topics."""

    async def publish(self, letters: Iterable[tuple[str, bytes]]) -> None:
        """Publish these letters, each as (topic, bytes), in this order."""

    async def close(self) -> None:
        """Close all connections. `connect` may be called again."""

"""The bus between gateways: it keeps nothing, and may lose, delay, double and reorder what it carries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class BusAway(Exception):
    """The bus cannot be reached, or has hung up. The text is for people and holds no secrets."""


class Bus(Protocol):
    """One gateway's connection to the bus. Every method but `close` raises BusAway."""

    async def connect(self, topics: Iterable[str]) -> None:
        """Reach the bus, anew if need be, and hear these topics from now on. May hang for as long as the network does:
        the caller sets the time limit."""

    async def receive(self) -> bytes:
        """The next message of the topics, as it was published."""

    async def publish(self, letters: Iterable[tuple[str, bytes]]) -> None:
        """Hand these over, each as (topic, bytes), in this order."""

    async def close(self) -> None:
        """Let go of all connections. `connect` may be called again."""

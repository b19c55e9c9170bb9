"""Publishing one event, and reading back what is stored."""

from __future__ import annotations

from turnwire import Client, Event, Publisher


async def send_now(call: Publisher, n: int) -> None:
    """Publish one event. Return when the gateway has answered."""
    await call.send("system", {"n": n})
    await call.flush()


async def log_of(url: str, session_id: str) -> list[Event]:
    async with Client(url) as client:
        return [event async for event in client.export(session_id)]

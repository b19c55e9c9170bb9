"""Limits the rate of a publisher's signals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from turnwire.gateway.access.buckets import Bucket
from turnwire.gateway.live.inbox import MAX_SIGNAL_KEYS
from turnwire.gateway.live.items import SignalItem


class HeldSignals:
    """Passes signals on within a rate. Over it, the newest signal of each key waits.

    Owned by the publisher's connection.
    """

    def __init__(self, bucket: Bucket, clock: Callable[[], float], submit: Callable[[SignalItem], None]) -> None:
        self._bucket = bucket
        self._clock = clock
        self._submit = submit
        self._held: dict[str, SignalItem] = {}
        self._timer: asyncio.TimerHandle | None = None

    def put(self, item: SignalItem) -> bool:
        """Submit the signal now or later. Return whether it and those before it were within the rate."""
        if not self._held and self._bucket.take(self._clock()):
            self._submit(item)
            return True
        self._held.pop(item.key, None)
        if len(self._held) >= MAX_SIGNAL_KEYS:
            self._held.pop(next(iter(self._held)))
        self._held[item.key] = item
        self._wait()
        return False

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._bucket.wait(self._clock()), self._release)

    def _release(self) -> None:
        self._timer = None
        while self._held and self._bucket.take(self._clock()):
            self._submit(self._held.pop(next(iter(self._held))))
        if self._held:
            self._wait()

    def close(self) -> None:
        """Drop the signals that wait."""
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()

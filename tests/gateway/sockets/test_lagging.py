"""When room comes to many connections at once, they are served a few in each pass of the loop."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from tests.support.passes import Passes
from turnwire.gateway.connections.outbox import FrameOutbox
from turnwire.gateway.sockets.lagging import Lagging
from turnwire.gateway.turns import SLICE_SECONDS, Turns


class Connection:
    """One with room for everything."""

    closing: asyncio.Future[None] | None = None

    def __init__(self) -> None:
        self.outbox = FrameOutbox(cast("Any", None), None, 1_000_000)

    def close(self, code: int, reason: str) -> None:
        raise AssertionError(code, reason)


class Feed:
    """A subscription with this many windows to send."""

    def __init__(self, passes: Passes, windows: int) -> None:
        self.windows = windows
        self._passes = passes

    @property
    def behind(self) -> bool:
        return self.windows > 0

    async def catch_up(self) -> None:
        self._passes.done(SLICE_SECONDS / 2)
        self.windows -= 1


async def test_a_slice_of_windows_is_sent_in_each_pass() -> None:
    passes = Passes()
    turns, feeds = Turns(passes.clock), [Feed(passes, 5) for _ in range(20)]
    with passes:
        for feed in feeds:
            Lagging(Connection(), turns).add(feed)
        while any(feed.behind for feed in feeds):
            await asyncio.sleep(0)
    assert passes.work.total() == 20 * 5
    assert passes.most == 2

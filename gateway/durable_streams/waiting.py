"""Long-polling: waits until a stream has new items, ends, or is erased."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import web

from turnwire.gateway.live.state import SessionState
from turnwire.gateway.rest.streams import Streams
from turnwire.gateway.sessions.requests import Requests, View, view_of
from turnwire.gateway.watching.audience import join, leave
from turnwire.gateway.watching.encoded_batch import EncodedBatch, Picture
from turnwire.gateway.watching.subscription import Watching
from turnwire.protocol.errors import NoSuchSession
from turnwire.protocol.messages import JsonObject

_TIMER_SECONDS: Final = 0.01
"""How many seconds late the timer of the grace time may fire."""


class _Waiter:
    """A client that waits for news of a session. See `Audience` for when each method is called."""

    __slots__ = ("left", "news")

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self.left = False

    def offer(self, batch: EncodedBatch) -> None:
        self.news.set()

    def signal(self, key: str, payload: JsonObject) -> None:
        """Do nothing: signals are not items."""

    def session_changed(self, picture: Picture) -> None:
        self.news.set()

    def erased(self) -> None:
        self.news.set()

    def rolled_back(self, last_seq: int) -> None:
        self.leave()

    def leave(self) -> None:
        """Stop waiting: the client will ask again."""
        self.left = True
        self.news.set()


class LongPolling:
    """Waits at most `seconds`. Each waiting client counts as a stream."""

    def __init__(self, streams: Streams, requests: Requests, watching: Watching, seconds: float) -> None:
        self._streams = streams
        self._requests = requests
        self._watching = watching
        self._seconds = seconds

    async def news(self, request: web.Request, session_id: str, after_seq: int | None) -> tuple[View, int]:
        """Wait until the session has events after `after_seq`, is closed, or the time is over. Return the session and
        `after_seq`; a given None stands for the last event.

        Raises NoSuchSession, StorageUnavailable, Overloaded, Refusal (429).
        """
        live = await self._requests.open(session_id)
        state = live.state
        after_seq = state.record.last_seq if after_seq is None else after_seq
        if _is_news(state, after_seq):
            return view_of(state), after_seq
        waiter = _Waiter()
        with self._streams.begun(request, session_id, waiter.leave):
            join(state, waiter)  # keeps the session in memory
            self._watching.watch_changed(state)
            try:
                await self._wait(state, after_seq, waiter)
            finally:
                leave(state, waiter)
                self._watching.watch_changed(state)
                state.last_used = self._watching.clock()
        if state.erased:
            raise NoSuchSession(session_id)
        return view_of(state), after_seq

    async def _wait(self, state: SessionState, after_seq: int, waiter: _Waiter) -> None:
        clock = self._watching.clock
        end = clock() + self._seconds
        while not waiter.left and not _is_news(state, after_seq) and clock() < end:
            closes_at = closing_time(state)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(end if closes_at is None else min(end, closes_at)):
                    await waiter.news.wait()
            waiter.news.clear()


def closing_time(state: SessionState) -> float | None:
    """Return when an ended session stops taking events, on the loop's clock; None if it has not ended."""
    return None if state.grace_timer is None else state.grace_timer.when() + _TIMER_SECONDS


def _is_news(state: SessionState, after_seq: int) -> bool:
    return state.record.last_seq != after_seq or not state.takes_events

"""What the feed knows of the conversations that go on: read from their events as they come, while somebody asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from turnwire.gateway.live.conversing import heard, read_window
from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import Summary
from turnwire.store.event_log import EventLog
from turnwire.store.on_demand import OnDemandTask

_REST = 3
"""After each window read from the store, a pause of so many times the reading's time: others come first."""
_LONGEST_REST = 1.0
_RETRY_SECONDS = 0.5


class Summaries:
    """Keeps the conversations of live sessions read up to their heads while a feed wants summaries.

    A conversation belongs to its SessionState and is evicted with it. What is missing of one is read in the background,
    a window at a time; one whose reading has come to the head is continued by `heard`, and the join is exact because
    the head and `heard` move in one step. Owner of the reading: its one task.
    """

    def __init__(self, log: EventLog, read: Callable[[SessionState], None]) -> None:
        """`read` is told of a session whose conversation has been read up to its head."""
        self._log = log
        self._told = read
        self.listeners = 0
        """Feed subscriptions that want summaries."""
        self._behind: dict[SessionState, None] = {}
        self._reader = OnDemandTask(self._read)

    def listen(self) -> None:
        self.listeners += 1

    def leave(self) -> None:
        self.listeners -= 1
        if not self.listeners:
            self._behind.clear()
            self._reader.cancel()
            self._reader = OnDemandTask(self._read)

    def heard(self, state: SessionState, durable: Durable) -> None:
        """These events, the next ones of the session, have become durable."""
        if not self.listeners:
            return
        if not heard(state, durable):
            self._read_later(state)

    def of(self, state: SessionState) -> Summary | None:
        """The summary, when the conversation has been read to its head; else it is read, and the feed tells then."""
        conversation = state.conversation
        if conversation is not None and conversation.last_seq == state.record.last_seq:
            return conversation.summary()
        if self.listeners and state.record.last_seq:
            self._read_later(state)
        return None

    def forget(self, state: SessionState) -> None:
        """The session is no more."""
        self._behind.pop(state, None)

    def _read_later(self, state: SessionState) -> None:
        self._behind[state] = None
        self._reader.wake()

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while self._behind:
            state = next(reversed(self._behind))
            began = loop.time()
            try:
                await read_window(self._log, state)
            except StorageUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if state.conversation is not None and state.conversation.last_seq >= state.record.last_seq:
                self._behind.pop(state, None)
                self._told(state)
            await asyncio.sleep(min(_LONGEST_REST, _REST * (loop.time() - began)))

"""Summaries of the running conversations, for the feed. They are kept only while a subscriber wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from turnwire.gateway.live.conversing import extend_conversation, read_window
from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import Summary
from turnwire.store.event_log import EventLog
from turnwire.store.on_demand import OnDemandTask

_REST = 3
"""After each window read from the store, pause for this many times as long as the reading took: others come first."""
_LONGEST_REST = 1.0
_RETRY_SECONDS = 0.5


class Summaries:
    """Keeps the conversations of live sessions read up to their heads while a feed wants summaries.

    A conversation belongs to its SessionState and is evicted with it. Missing events are read in the background, a
    window at a time. Once a conversation has reached the head, new events are added as they become durable; nothing
    is missed because the head and the conversation move in one step. The reading belongs to one task.
    """

    def __init__(self, log: EventLog, read: Callable[[SessionState], None]) -> None:
        """`read` is called with each session whose conversation has been read up to its head."""
        self._log = log
        self._read_up = read
        self.listeners = 0
        """Number of feed subscriptions that want summaries."""
        self._behind: dict[SessionState, None] = {}
        self._reader = OnDemandTask(self._read)

    def listen(self) -> None:
        """Count a feed subscription that wants summaries."""
        self.listeners += 1

    def leave(self) -> None:
        """Discount a feed subscription; with the last one, stop reading."""
        self.listeners -= 1
        if not self.listeners:
            self._behind.clear()
            self._reader.cancel()
            self._reader = OnDemandTask(self._read)

    def advanced(self, state: SessionState, durable: Durable) -> None:
        """Add events that have become durable to the conversation, or have the missing ones read first."""
        if not self.listeners:
            return
        if not extend_conversation(state, durable):
            self._read_later(state)

    def of(self, state: SessionState) -> Summary | None:
        """Return the summary if the conversation is read up to its head. Else return None and have it read."""
        conversation = state.conversation
        if conversation is not None and conversation.last_seq == state.record.last_seq:
            return conversation.summary()
        if self.listeners and state.record.last_seq:
            self._read_later(state)
        return None

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
                self._read_up(state)
            await asyncio.sleep(min(_LONGEST_REST, _REST * (loop.time() - began)))

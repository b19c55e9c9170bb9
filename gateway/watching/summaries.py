"""Summaries of the running conversations, for the feed. They are kept only while a subscriber wants them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from turnwire.gateway.live.conversing import extend_conversation, read_in_background, read_window
from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.messages import Summary
from turnwire.store.event_log import EventLog
from turnwire.store.on_demand import OnDemandTask


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
        self._reader = OnDemandTask()

    def listen(self) -> None:
        """Count a feed subscription that wants summaries."""
        self.listeners += 1

    def leave(self) -> None:
        """Discount a feed subscription; with the last one, stop reading."""
        self.listeners -= 1
        if not self.listeners:
            self._behind.clear()
            self._reader.cancel()
            self._reader = OnDemandTask()

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

    def forget(self, state: SessionState) -> None:
        """Forget an erased or evicted session."""
        self._behind.pop(state, None)

    def _read_later(self, state: SessionState) -> None:
        self._behind[state] = None
        self._reader.wake(self._read)

    async def _read(self) -> None:
        while self._behind:
            state = next(reversed(self._behind))
            await read_in_background(partial(self._read_some, state))

    async def _read_some(self, state: SessionState) -> None:
        conversation = await read_window(self._log, state)
        if conversation.last_seq >= state.record.last_seq:
            self._behind.pop(state, None)
            self._read_up(state)

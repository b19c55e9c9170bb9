"""Reads conversations whose earlier events are not in memory from the log, in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from turnwire.gateway.live.conversing import measured, read_in_background, read_window
from turnwire.gateway.live.items import FiguresItem
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.conversation import Conversation
from turnwire.store.event_log import EventLog


class FiguresReader:
    """Reads each due conversation up to its head, a window at a time, and computes the figures of ended sessions.

    Owned by the task that calls `run`.
    """

    def __init__(self, log: EventLog, submit: Callable[[SessionState, FiguresItem], None]) -> None:
        """`submit` puts an item into the session's inbox, if the session is still in memory."""
        self._log = log
        self._submit = submit
        self._due: dict[SessionState, None] = {}
        self._wake = asyncio.Event()

    def __contains__(self, state: SessionState) -> bool:
        return state in self._due

    def read(self, state: SessionState) -> None:
        """Have the session's conversation read when there is time."""
        self._due[state] = None
        self._wake.set()

    def forget(self, state: SessionState) -> None:
        """Forget a session that was erased or evicted."""
        self._due.pop(state, None)

    async def run(self) -> None:
        """Read due conversations for as long as the gateway runs."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._read()

    async def _read(self) -> None:
        while self._due:
            state = next(iter(self._due))
            await read_in_background(partial(self._read_some, state))

    async def _read_some(self, state: SessionState) -> None:
        conversation = await read_window(self._log, state)
        if conversation.last_seq < state.record.last_seq:
            return
        self._due.pop(state, None)
        if state.ended:
            through = conversation.last_seq
            self._submit(state, FiguresItem(await measured(conversation, Conversation.final), through))

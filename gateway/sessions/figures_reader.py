"""Conversations that were opened in their middle, read from the log behind everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from turnwire.gateway.live.conversing import measured, read_window
from turnwire.gateway.live.items import FiguresItem
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.conversation import Conversation
from turnwire.protocol.errors import StorageUnavailable
from turnwire.store.event_log import EventLog

_REST = 3
"""After each window, a pause of so many times the reading's time: others come first."""
_LONGEST_REST = 1.0
_RETRY_SECONDS = 0.5


class FiguresReader:
    """Reads each once, a window at a time, up to the head; of an ended session it makes the figures that are kept.
    Owner of what is due; `run` is its one task."""

    def __init__(self, log: EventLog, submit: Callable[[SessionState, FiguresItem], None]) -> None:
        """`submit` gives an item to the session's task, if the session is still in memory."""
        self._log = log
        self._submit = submit
        self._due: dict[SessionState, None] = {}
        self._wake = asyncio.Event()

    def __contains__(self, state: SessionState) -> bool:
        return state in self._due

    def read(self, state: SessionState) -> None:
        """To be read when there is time."""
        self._due[state] = None
        self._wake.set()

    def forget(self, state: SessionState) -> None:
        """The session is no more."""
        self._due.pop(state, None)

    async def run(self) -> None:
        """Read whatever is due, for as long as the gateway lives."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._read()

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while self._due:
            state = next(iter(self._due))
            began = loop.time()
            try:
                await self._read_some(state)
            except StorageUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            await asyncio.sleep(min(_LONGEST_REST, _REST * (loop.time() - began)))

    async def _read_some(self, state: SessionState) -> None:
        conversation = await read_window(self._log, state)
        if conversation.last_seq < state.record.last_seq:
            return
        self._due.pop(state, None)
        if state.ended:
            through = conversation.last_seq
            self._submit(state, FiguresItem(await measured(conversation, Conversation.final), through))

"""Contests with other gateways for the next position of a log: a gateway that keeps losing gets its turn.

Any gateway may store an event at the next position, and the first one gets it. A gateway that stores events all the
time wins every race against one that must first read what the other has stored, especially if commits are slow. So the
loser leaves a mark in the session's document, and the winner, when it sees the mark, lets the loser go first. The
mark is only a hint: the log's key decides who gets a position.
"""

from __future__ import annotations

from contextlib import suppress

from turnwire.gateway.live.context import Context
from turnwire.gateway.live.log import log_writer
from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import RefusedSession, StorageUnavailable
from turnwire.protocol.rules import Ledger

_MARK_EACH = 2
"""A gateway leaves a mark each time it has lost this many more races."""


class Contest:
    """The attempts of one round to get positions of the log."""

    __slots__ = ("_context", "_losses", "_state")

    def __init__(self, context: Context, state: SessionState) -> None:
        self._context = context
        self._state = state
        self._losses = 0

    async def commit(self, ledger: Ledger, weight: int, *, behind_head: bool) -> Durable:
        """Write the ledger's pending events to the log, as `log_writer.commit` does."""
        context, state = self._context, self._state
        began = context.clock()
        durable = await log_writer.commit(
            context.store, state, ledger, weight, context.clock, lost=self._lost, behind_head=behind_head
        )
        state.commit_seconds += context.clock() - began
        if durable.foreign:
            state.let_in()
        return durable

    async def _lost(self) -> None:
        self._losses += 1
        if self._losses % _MARK_EACH or not self._context.shared_database:
            return
        with suppress(StorageUnavailable, RefusedSession):  # only a hint: the race continues without it
            await self._context.store.sessions.contest(self._state.record)
            self._state.contest()
            self._context.observer.contested(self._state)

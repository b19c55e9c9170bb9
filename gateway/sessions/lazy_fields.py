"""Fields of session documents that are written every few seconds in bulk, instead of with every event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from turnwire.gateway.live.state import SessionState
from turnwire.gateway.turns import A_FEW, Turns
from turnwire.store.mongo import Store
from turnwire.store.sessions import MAX_UPDATES

MOST_BEHIND = 64
"""Maximum number of events by which the stored lastSeq of a call may lag behind, if no other gateway reads it. Opening
the session after a crash reads these events from the log.
"""
_UPDATES_ALONE = 16
"""Updates in one bulk of the embedded database. Acks wait for a bulk, about 0.8 ms for each update."""


class LazyFields:
    """The sessions whose fields are newer in memory than in the store.

    Keeps `SessionState.unwritten` and `SessionState.stored_seq` up to date.

    What a crash loses can be read from the log again. An update costs the embedded database as much as inserting many
    events. So a gateway that is alone at its database writes the fields of a live call only with every 64th event, and
    when the call's publisher has left.
    """

    def __init__(self, store: Store, stored_is_ahead: Callable[[str], None], turns: Turns, *, shared: bool) -> None:
        """`stored_is_ahead` is called with the id of each session that is newer in the store, is gone from it, or has
        lost events there. `shared`: other gateways read the stored fields."""
        self._store = store
        self._stored_is_ahead = stored_is_ahead
        self._turns = turns
        self._shared = shared
        self._due: dict[SessionState, None] = {}
        """In the order in which they became due."""
        self._writing = asyncio.Lock()
        self.bulks = 0
        """Number of bulks that were written."""

    def __contains__(self, state: SessionState) -> bool:
        return state in self._due

    def __len__(self) -> int:
        return len(self._due)

    def mark(self, state: SessionState) -> None:
        """Have the session's fields written by the next flush."""
        state.unwritten = True
        self._due[state] = None

    def written(self, state: SessionState) -> None:
        """Note that all fields of the session have just been written elsewhere."""
        if not state.log.full_pages and state in self._due:
            del self._due[state]
            state.unwritten = False
            state.stored_seq = state.record.last_seq

    def forget(self, state: SessionState) -> None:
        """Forget a session that was erased or evicted."""
        self._due.pop(state, None)
        state.unwritten = False

    async def flush(self) -> None:
        """Write all due fields and pages. Raises StorageUnavailable; what is not written stays due."""
        await self._write(list(self._due))

    async def flush_needed(self) -> None:
        """Write the due fields that somebody needs soon, and all pages. Raises as `flush` does."""
        slices, due, needed = self._turns.look_over(), tuple(self._due), list[SessionState]()
        for start in range(0, len(due), A_FEW):
            if start:
                await slices.pause()
            needed += filter(self._is_needed, due[start : start + A_FEW])
        await self._write(needed)

    def _is_needed(self, state: SessionState) -> bool:
        on_call = state.publisher is not None and not state.ended
        behind = state.record.last_seq - state.stored_seq
        return self._shared or not on_call or behind >= MOST_BEHIND or bool(state.log.full_pages)

    async def _write(self, states: Sequence[SessionState]) -> None:
        size = MAX_UPDATES if self._shared else _UPDATES_ALONE
        for start in range(0, len(states), size):
            async with self._writing:
                await self._write_some(states[start : start + size])

    async def _write_some(self, states: Sequence[SessionState]) -> None:
        due = [state for state in states if state in self._due]
        for state in due:
            del self._due[state]
        try:
            lost = await self._lost(due)
            sure = [state for state in due if state.session_id not in lost]
            heads = [state.record.last_seq for state in sure]
            ahead = await self._store.sessions.save_lazy_fields([state.record for state in sure])
            self.bulks += 1
            for state, head in zip(sure, heads, strict=True):
                state.stored_seq = head
                await self._save_full_pages(state)
        except BaseException:
            for state in due:
                if not state.erased:
                    self.mark(state)
            raise
        for state in due:
            state.unwritten = state in self._due
        for session_id in (*lost, *ahead):
            self._stored_is_ahead(session_id)

    async def _lost(self, states: Iterable[SessionState]) -> set[str]:
        """After trouble with the storage, return the sessions whose head is no longer in the log. Nothing may be
        written beside those logs. Costs nothing otherwise."""
        events = self._store.events
        doubtful = [state for state in states if state.log.as_of != events.troubles]
        if not doubtful:
            return set()
        return set(await events.lost({state.session_id: state.head for state in doubtful}))

    async def _save_full_pages(self, state: SessionState) -> None:
        pages = state.log.full_pages
        while pages:
            page, ids, times = pages[0]
            await self._store.events.digests.save(state.session_id, page, ids, times, state.record.life)
            if pages:  # otherwise the session has been erased meanwhile
                pages.pop(0)

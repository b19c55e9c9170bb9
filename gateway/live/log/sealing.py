"""Seals a session whose log is in the archive: the log is read there from now on, so nothing may be added to it."""

from __future__ import annotations

from turnwire.gateway.live.catching_up import refresh
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.items import ArchiveItem, resolve
from turnwire.gateway.live.state import SessionState
from turnwire.store.waiting import persist


async def seal(context: Context, state: SessionState, item: ArchiveItem) -> None:
    """Mark the session as archived, if it is unchanged since it was archived. Raises SessionErased."""
    if item.done.done():
        return
    if context.shared_database:  # another gateway may have continued the session
        await refresh(context, state, item.done)
    sealed = False
    if _is_whole(state, item):
        sealed = await persist(lambda: context.store.archive.marks.seal(state.record, item.mark), item.done)
    if sealed:
        state.archived(item.mark)
    resolve(item.done, sealed)


def _is_whole(state: SessionState, item: ArchiveItem) -> bool:
    """Return whether all events of the session are archived, none can follow, and it meets the item's condition."""
    closed = state.ended and not state.takes_events and state.publisher is None
    return closed and state.record.last_seq == item.mark.events and item.only_if(state.record)

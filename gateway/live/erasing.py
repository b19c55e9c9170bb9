"""Erases a session: hides it from everybody and forgets it here. Its stored data is removed afterwards."""

from __future__ import annotations

import logging

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.catching_up import refresh
from turnwire.gateway.live.claiming import holder_of
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.grace import forget_timer
from turnwire.gateway.live.items import EraseItem, resolve
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import CloseCode, PublisherConnected
from turnwire.store.waiting import persist

_log = logging.getLogger("turnwire.session")


async def erase(context: Context, state: SessionState, item: EraseItem) -> None:
    """Mark the session as erased, if it meets the item's condition.

    Raises PublisherConnected unless the item is forced, and SessionErased if the session has been erased before.
    """
    if item.done.done():
        return
    erasures = context.store.erasures
    if context.shared_database:  # a publisher may be at another gateway
        await refresh(context, state, item.done)
    if not _is_wanted(context, state, item):
        resolve(item.done, False)
        return
    while not item.done.done():
        await persist(lambda: erasures.note(state.record, utc_now()), item.done)
        if not _is_wanted(context, state, item):
            resolve(item.done, False)
            return
        if await persist(lambda: erasures.mark(state.record, whoever_publishes=item.force), item.done):
            forget(context, state, here=True)
            resolve(item.done, True)
            return
        await refresh(context, state, item.done)


def _is_wanted(context: Context, state: SessionState, item: EraseItem) -> bool:
    """Return whether the session meets the item's condition. Raises PublisherConnected unless it is forced."""
    if not item.force and holder_of(context, state) is not None:
        raise PublisherConnected(state.session_id)
    return item.only_if is None or item.only_if(state.record)


def forget(context: Context, state: SessionState, *, here: bool) -> None:
    """Drop the erased session: tell its publisher and its watchers, and remove it from memory.

    `here`: whether this gateway has erased it.
    """
    if state.erased:
        return
    publisher = state.erase()
    forget_timer(state)
    if publisher is not None:
        publisher.close(CloseCode.NOT_FOUND, "the session has been erased")
    if state.audience is not None:
        state.audience.erased()
    context.observer.erased(state, here=here)
    _log.info("session %r: erased%s", state.session_id, "" if here else " at another gateway")

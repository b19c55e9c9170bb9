"""Facts that become known later: metadata and language are changed, also after the end."""

from __future__ import annotations

from typing import Any

from turnwire.gateway.live.advancing import tell
from turnwire.gateway.live.catching_up import learn
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.items import AmendItem, FiguresItem
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import SessionNotFound
from turnwire.protocol.messages import JsonObject
from turnwire.protocol.rules import check_metadata
from turnwire.store.waiting import persist


async def amend(context: Context, state: SessionState, item: AmendItem) -> None:
    """Patch what stands in the store, whoever has changed it before. Doing it again changes nothing.

    Raises InvalidMessage or TooLarge when the metadata would be over a limit then.
    """
    sessions, record = context.store.sessions, state.record
    while not item.done.done():
        metadata = record.metadata if item.metadata is None else merged(record.metadata, item.metadata)
        language = item.language or record.language
        check_metadata(metadata, context.limits)
        if await persist(lambda m=metadata, n=language: sessions.amend(record, m, n), wanted=item.done):  # type: ignore[misc]
            state.amend(metadata, language, record.amended + 1)
            tell(context, state)
            break
        stored = await persist(lambda: sessions.load(state.session_id), wanted=item.done)
        if stored is None:
            raise SessionNotFound(state.session_id)
        await learn(context, state, stored)
    if not item.done.done():
        item.done.set_result(state.session())


def take_figures(context: Context, state: SessionState, item: FiguresItem) -> None:
    """Keep the figures that were read from the log, unless more has come meanwhile."""
    if item.through < state.record.last_seq:
        context.observer.unread(state)
        return
    state.keep_figures(item.figures)
    tell(context, state, ours=False)


def merged(target: JsonObject, patch: JsonObject) -> JsonObject:
    """The merge patch of RFC 7396 applied: null removes, objects are merged, all else replaces."""
    made: dict[str, Any] = dict(target)
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        elif isinstance(value, dict):
            kept = made.get(key)
            made[key] = merged(kept if isinstance(kept, dict) else {}, value)
        else:
            made[key] = value
    return made

"""Changes a session's metadata, language and figures, also after its end."""

from __future__ import annotations

from functools import partial
from typing import Any

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.advancing import report_amendment
from turnwire.gateway.live.catching_up import learn
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.items import AmendItem, FiguresItem, resolve
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.messages import JsonObject
from turnwire.protocol.rules import checked_metadata
from turnwire.protocol.values import unpacked
from turnwire.store.waiting import persist


async def amend(context: Context, state: SessionState, item: AmendItem) -> None:
    """Patch the stored metadata and language. Applying the same patch again changes nothing.

    When another gateway has changed them first, the patch is applied to its result. Raises InvalidMessage or TooLarge
    when the patched metadata is over a limit, NoSuchSession when the session has been deleted.
    """
    sessions, record = context.store.sessions, state.record
    while not item.done.done():
        known = unpacked(record.metadata)
        metadata = checked_metadata(known if item.metadata is None else merged(known, item.metadata), context.limits)
        language = item.language or record.language
        now = utc_now()
        if await persist(partial(sessions.amend, record, metadata, language, now), wanted=item.done):
            state.amend(metadata, language, record.amended + 1)
            report_amendment(context, state)
            break
        await learn(context, state, await persist(lambda: sessions.reload(record), wanted=item.done))
    resolve(item.done, state.session())


def adopt_figures(context: Context, state: SessionState, item: FiguresItem) -> None:
    """Keep the figures that were read from the log. If events have arrived since, have them read again."""
    if item.through < state.record.last_seq:
        context.observer.unread(state)
        return
    state.keep_figures(item.figures)
    report_amendment(context, state, ours=False)


def merged(target: JsonObject, patch: JsonObject) -> JsonObject:
    """Return `target` with a merge patch (RFC 7396) applied: null removes, objects merge, anything else replaces."""
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

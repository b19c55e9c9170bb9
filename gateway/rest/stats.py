"""REST route of a conversation's figures: `GET /sessions/{id}/stats`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from turnwire.gateway.http.query import session_id_of
from turnwire.gateway.keys import HUB
from turnwire.gateway.rest.sessions import json_answer
from turnwire.gateway.watching.summaries import read_on, read_window
from turnwire.protocol.conversation import Conversation
from turnwire.protocol.figures import SessionStats

if TYPE_CHECKING:
    from turnwire.gateway.sessions.live_sessions import Hub


async def read_stats(request: web.Request) -> web.Response:
    hub = request.app[HUB]
    session_id = session_id_of(request, hub.limits)
    conversation = await read_conversation(hub, session_id)
    figures = conversation.figures()
    fields = {name: getattr(figures, name) for name in figures.__struct_fields__}
    return json_answer(SessionStats(session_id=session_id, last_seq=conversation.last_seq, **fields))


async def read_conversation(hub: Hub, session_id: str) -> Conversation:
    """The conversation up to the head as it is now. That of a session in memory is kept there and read on next time.

    Raises SessionNotFound, StorageUnavailable.
    """
    live = hub.live.get(session_id)
    if live is not None:
        live.last_used = hub.clock()
        await hub.bring_up_to_date(live)
        while (conversation := await read_window(live)).last_seq < live.record.last_seq:
            pass
        return conversation
    head = (await hub.view(session_id)).session.last_seq
    conversation = Conversation()
    while conversation.last_seq < head:
        await read_on(hub.store.events, session_id, conversation, head)
    return conversation

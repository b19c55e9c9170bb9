"""REST route for a conversation's figures: `GET /sessions/{id}/stats`."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from aiohttp import web

from turnwire.gateway.access.guard import principal_of
from turnwire.gateway.http.answers import encoded_answer
from turnwire.gateway.http.query import session_id_of
from turnwire.gateway.live.conversing import measured, read_more, read_window
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.sessions.requests import Requests
from turnwire.protocol.codec import JSON
from turnwire.protocol.conversation import Conversation
from turnwire.protocol.errors import SessionErased
from turnwire.protocol.figures import SessionStats
from turnwire.protocol.messages import Limits
from turnwire.protocol.rights import Scope
from turnwire.store.event_log import EventLog


class StatsRoute:
    def __init__(self, limits: Limits, sessions: LiveSessions, requests: Requests, log: EventLog) -> None:
        self._limits = limits
        self._sessions = sessions
        self._requests = requests
        self._log = log

    async def read_stats(self, request: web.Request) -> web.Response:
        session_id = session_id_of(request, self._limits)
        principal_of(request).require(Scope.READ, session_id)
        conversation, is_kept = await self._conversation(session_id)
        return encoded_answer(await measured(conversation, partial(_encoded, session_id), is_needed=is_kept))

    async def _conversation(self, session_id: str) -> tuple[Conversation, bool]:
        """Return the conversation, read up to the current head, and whether it stays in memory for later calls: it does
        if the session is live.

        Raises NoSuchSession, StorageUnavailable.
        """
        live = self._sessions.find(session_id)
        if live is not None:
            with suppress(SessionErased):  # there may be a new session of this id
                return await self._live_conversation(live), True
        view = await self._requests.view(session_id)
        head, conversation = view.session.last_seq, Conversation()
        while conversation.last_seq < head:
            await read_more(self._log, session_id, view.life, conversation, head)
        return conversation, False

    async def _live_conversation(self, live: LiveSession) -> Conversation:
        await self._requests.bring_up_to_date(live)
        state = live.state
        while (conversation := await read_window(self._log, state)).last_seq < state.record.last_seq:
            pass
        return conversation


def _encoded(session_id: str, conversation: Conversation) -> bytes:
    """Return the answer for a conversation. That of a long one lists tens of thousands of responses."""
    figures = conversation.figures()
    fields = {name: getattr(figures, name) for name in figures.__struct_fields__}
    return JSON.encode(SessionStats(session_id=session_id, last_seq=conversation.last_seq, **fields))

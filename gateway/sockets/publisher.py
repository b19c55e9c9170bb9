"""The endpoint for publishers: `GET /sessions/{sessionId}/publish`."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from turnwire.gateway.access.access import Access
from turnwire.gateway.access.guard import guest_of
from turnwire.gateway.access.refusals import Refusal
from turnwire.gateway.access.session_quotas import SessionQuotas
from turnwire.gateway.connections.serving import Serving
from turnwire.gateway.http.query import session_id_of
from turnwire.gateway.live.context import WaitingBytes
from turnwire.gateway.live.items import ClaimItem
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.gateway.sockets.publisher_connection import PublisherConnection
from turnwire.protocol.errors import InvalidMessage, SessionErased, SessionTaken
from turnwire.protocol.messages import Opened
from turnwire.protocol.paging import language_fault
from turnwire.protocol.rights import Scope
from turnwire.protocol.rules import check_new_session_id
from turnwire.store.waiting import storage_deadline

_TRACEPARENT: Final = "traceparent"
_LONGEST_TRACEPARENT: Final = 128


class PublisherEndpoint:
    """Opens publishers' sockets. Refusals are HTTP answers before the upgrade."""

    def __init__(
        self, serving: Serving, sessions: LiveSessions, waiting: WaitingBytes, access: Access, quotas: SessionQuotas
    ) -> None:
        self._waiting = waiting
        self._serving = serving
        self._sessions = sessions
        self._access = access
        self._quotas = quotas

    async def publish(self, request: web.Request) -> web.StreamResponse:
        """Claim the session, then serve the socket."""
        connection = self._connection(request)
        with connection.guest.counted():
            connection.check()
            return await self._serve(request, connection)

    def _connection(self, request: web.Request) -> PublisherConnection:
        """Return the connection, not open yet. Raises Refusal."""
        session_id = session_id_of(request, self._serving.limits)
        guest = guest_of(request, self._access.reception)
        creates = (Scope.CREATE,) if "language" in request.query else ()
        guest.principal.require_all((Scope.PUBLISH, *creates), session_id)
        return PublisherConnection(
            request,
            self._serving,
            guest,
            waiting=self._waiting,
            enders=self._access.enders,
            session_id=session_id,
        )

    async def _serve(self, request: web.Request, connection: PublisherConnection) -> web.StreamResponse:
        live: LiveSession | None = None
        try:
            async with storage_deadline(self._serving.config.rest_timeout):
                live, created = await self._open(request, connection)
                while (first := await _claimed(live, connection, self._trace_of(request), created=created)) is None:
                    live, created = await self._open(request, connection)
            response = await connection.open()
            self._record_opening(connection)
            await connection.run(live, first)
        finally:
            if live is not None:
                live.release(connection)
            if connection.is_open:
                await connection.finish()
        return response

    async def _open(self, request: web.Request, connection: PublisherConnection) -> tuple[LiveSession, bool]:
        """Return the session, created if the request gives a language, and whether it was created."""
        session_id, guest = connection.session_id, connection.guest
        language = request.query.get("language")
        self._quotas.check_live(guest.principal, session_id)
        if language is None:
            return await self._sessions.open(session_id), False
        fault = language_fault(language)
        if fault is not None:
            raise InvalidMessage(fault)
        check_new_session_id(session_id, self._serving.limits)
        await self._quotas.check(guest.principal, session_id)
        live, created = await self._sessions.open_or_create(
            session_id, language, guest.principal.id, self._trace_of(request)
        )
        if created:
            self._quotas.created(guest.principal, session_id)
        return live, created

    def _trace_of(self, request: web.Request) -> str | None:
        """Return the trace that the bot names, if this gateway keeps traces."""
        given = request.headers.get(_TRACEPARENT) if self._serving.config.tracing == "on" else None
        return given if given is not None and len(given) <= _LONGEST_TRACEPARENT else None

    def _record_opening(self, connection: PublisherConnection) -> None:
        guest = connection.guest
        guest.opened("publisher", connection.session_id)
        self._quotas.owns(guest.principal, connection.session_id)
        if connection.replaced is not None:
            self._access.audit.takeover(connection.session_id, guest.principal, connection.replaced)


async def _claimed(
    live: LiveSession, connection: PublisherConnection, traceparent: str | None, *, created: bool
) -> Opened | None:
    """Return the first message for the connection, which now has the session; None if the session turned out to be
    erased."""
    opened: asyncio.Future[Opened] = asyncio.get_running_loop().create_future()
    live.submit(ClaimItem(connection, opened, created, traceparent))
    try:
        return await opened
    except SessionErased:
        return None
    except SessionTaken as taken:  # the audit must name the owner of the credential that is wrong here
        raise Refusal(taken.code, "session_taken", taken.message) from None

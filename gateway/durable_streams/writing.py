"""Routes that create, append to, close and erase a stream."""

from __future__ import annotations

from aiohttp import web

from turnwire.gateway.access.audit import Audit
from turnwire.gateway.access.guard import principal_of
from turnwire.gateway.durable_streams.appending import Appending
from turnwire.gateway.durable_streams.asked import closes, stream_of
from turnwire.gateway.durable_streams.creating import StreamCreating
from turnwire.gateway.http.body import BodyReader
from turnwire.gateway.sessions.erasing import Erasing
from turnwire.gateway.sessions.requests import Requests
from turnwire.protocol.messages import Limits
from turnwire.protocol.rights import Scope


class StreamWriting:
    """Answers PUT, POST and DELETE requests."""

    def __init__(
        self,
        limits: Limits,
        bodies: BodyReader,
        appending: Appending,
        creating: StreamCreating,
        *,
        requests: Requests,
        erasing: Erasing,
        audit: Audit,
    ) -> None:
        self._limits = limits
        self._bodies = bodies
        self._appending = appending
        self._creating = creating
        self._requests = requests
        self._erasing = erasing
        self._audit = audit

    async def create(self, request: web.Request) -> web.Response:
        session_id = stream_of(request, self._limits)
        principal = principal_of(request)
        principal.require(Scope.CREATE)
        principal.require_new_session(session_id)
        if closes(request):
            principal.require(Scope.COMPLETE, session_id)
        body = await self._bodies.read(request, any_type=True)
        if body:
            principal.require(Scope.PUBLISH, session_id)
        return await self._creating.create(request, session_id, principal, body)

    async def append(self, request: web.Request) -> web.Response:
        session_id = stream_of(request, self._limits)
        principal = principal_of(request)
        if closes(request):
            principal.require(Scope.COMPLETE, session_id)
        else:
            principal.require(Scope.PUBLISH, session_id)
        body = await self._bodies.read(request, any_type=True)
        if body:
            principal.require(Scope.PUBLISH, session_id)
        return await self._appending.append(request, session_id, principal, body)

    async def remove(self, request: web.Request) -> web.Response:
        """Erase the session. Raises NoSuchSession, PublisherConnected, StorageUnavailable."""
        session_id = stream_of(request, self._limits)
        principal = principal_of(request)
        principal.require(Scope.DELETE, session_id)
        await self._requests.view(session_id)
        if await self._erasing.erase(session_id, force=False):
            self._audit.session_erased(session_id, principal, forced=False)
        return web.Response(status=204)

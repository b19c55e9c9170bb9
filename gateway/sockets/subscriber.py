"""The endpoint for subscribers: `GET /subscribe`."""

from __future__ import annotations

from aiohttp import web

from turnwire.gateway.access.access import Access
from turnwire.gateway.access.guard import guest_of
from turnwire.gateway.connections.serving import Serving
from turnwire.gateway.sockets.subscriber_connection import SubscriberConnection, SubscriberParts
from turnwire.protocol.rights import Scope


class SubscriberEndpoint:
    """`GET /subscribe`."""

    def __init__(self, serving: Serving, parts: SubscriberParts, access: Access) -> None:
        self._serving = serving
        self._parts = parts
        self._access = access

    async def subscribe(self, request: web.Request) -> web.StreamResponse:
        """Serve a subscriber's socket."""
        guest = guest_of(request, self._access.reception)
        guest.principal.require_any(Scope.READ, Scope.LIST)
        connection = SubscriberConnection(request, self._serving, guest, self._parts)
        with guest.counted():
            connection.check()
            response = await connection.open()
            guest.opened("subscriber")
            try:
                await connection.read()
            finally:
                await connection.finish()
        return response

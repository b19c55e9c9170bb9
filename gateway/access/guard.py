"""Puts the door before every route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from turnwire.gateway.access.asking import asked_of
from turnwire.gateway.access.door import Door
from turnwire.gateway.access.guests import Guest, Reception
from turnwire.gateway.access.principals import Principal
from turnwire.gateway.access.refusals import Refusal

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PRINCIPAL: Final = web.RequestKey("principal", Principal)
_ADDRESS: Final = web.RequestKey("address", str)


class Guard:
    """Admits a request to its route, together with its principal, and audits what the route refuses."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def __call__(self, request: web.Request, routed: Handler) -> web.StreamResponse:
        """Return the route's answer. Raises Refusal, and what the route raises."""
        asked = asked_of(request)
        principal = await self._door.admit(asked)
        request[_PRINCIPAL] = principal
        request[_ADDRESS] = self._door.address_of(asked)
        try:
            return await routed(request)
        except Refusal as refusal:
            self._door.audit_refusal(refusal, asked, principal)
            raise


def principal_of(request: web.Request) -> Principal:
    """Return the principal of a request."""
    return request[_PRINCIPAL]


def guest_of(request: web.Request, reception: Reception) -> Guest:
    """Return a new guest for the principal of a request, for one connection or stream."""
    return reception.receive(request[_PRINCIPAL], request[_ADDRESS])

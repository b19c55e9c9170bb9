"""The door before every route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from turnwire.gateway.access.asking import asked_of
from turnwire.gateway.access.door import Door
from turnwire.gateway.access.guests import Guest, Reception
from turnwire.gateway.access.principals import Principal
from turnwire.gateway.access.refusals import Refused

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PRINCIPAL: Final = web.RequestKey("principal", Principal)
_ADDRESS: Final = web.RequestKey("address", str)


class Guard:
    """Lets a request to its route, with the principal it is of, and audits what is refused behind the door as well."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def __call__(self, request: web.Request, routed: Handler) -> web.StreamResponse:
        """The route's answer. Raises Refused, and whatever the route raises."""
        asked = asked_of(request)
        principal = await self._door.admit(asked)
        request[_PRINCIPAL] = principal
        request[_ADDRESS] = self._door.address_of(asked)
        try:
            return await routed(request)
        except Refused as refused:
            self._door.tell(refused, asked, principal)
            raise


def principal_of(request: web.Request) -> Principal:
    """Who is asking."""
    return request[_PRINCIPAL]


def guest_of(request: web.Request, reception: Reception) -> Guest:
    """Who is asking, for a connection or a stream of his own."""
    return reception.receive(request[_PRINCIPAL], request[_ADDRESS])

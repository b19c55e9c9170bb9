"""Puts the door before every route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from turnwire.gateway.access.arrivals import Arrivals
from turnwire.gateway.access.asked import Asked
from turnwire.gateway.access.asking import asked_of
from turnwire.gateway.access.door import Door, Opening, opening_of
from turnwire.gateway.access.guests import Guest, Reception
from turnwire.gateway.access.principals import Principal, Surplus
from turnwire.gateway.access.refusals import Refusal
from turnwire.protocol.errors import ErrorCode, Overloaded

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PRINCIPAL: Final = web.RequestKey("principal", Principal)
_ADDRESS: Final = web.RequestKey("address", str)


class Guard:
    """Admits a request to its route, together with its principal, and audits what the route refuses."""

    def __init__(self, door: Door, arrivals: Arrivals) -> None:
        self._door = door
        self._arrivals = arrivals

    async def __call__(self, request: web.Request, routed: Handler) -> web.StreamResponse:
        """Return the route's answer. Raises Refusal, Overloaded, and what the route raises."""
        asked = asked_of(request)
        principal = await self._admit(request, asked)
        request[_ADDRESS] = self._door.address_of(asked)
        try:
            return await self._answer(request, asked, principal, routed)
        except Refusal as refusal:
            self._door.audit_refusal(refusal, asked, principal)
            raise
        except Overloaded as error:
            self._door.audit_limit(error, asked, principal)
            raise

    async def _answer(
        self, request: web.Request, asked: Asked, principal: Principal, routed: Handler
    ) -> web.StreamResponse:
        """Route the request. Without a place for its connection, that only finds out whether it is refused anyway."""
        request[_PRINCIPAL] = principal
        opening = opening_of(asked.method, asked.path)
        if opening is Opening.PROBE:
            return await routed(request)
        try:
            self._arrivals.admit(request.protocol, principal)
        except Overloaded as full:
            if opening is Opening.PAGE:
                raise
            request[_PRINCIPAL] = Surplus.of(principal, full)
            try:
                return await routed(request)
            except web.HTTPException:  # there is no such route
                raise full from None
        return await routed(request)

    async def _admit(self, request: web.Request, asked: Asked) -> Principal:
        try:
            return await self._door.admit(asked)
        except Refusal as refusal:
            if refusal.code is ErrorCode.UNAUTHENTICATED:
                self._arrivals.check_stranger(request.protocol)
            raise


def principal_of(request: web.Request) -> Principal:
    """Return the principal of a request."""
    return request[_PRINCIPAL]


def guest_of(request: web.Request, reception: Reception) -> Guest:
    """Return a new guest for the principal of a request, for one connection or stream."""
    return reception.receive(request[_PRINCIPAL], request[_ADDRESS])

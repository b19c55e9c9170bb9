"""Puts the door before every route."""

from __future__ import annotations

import asyncio
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
        request[_ADDRESS] = self._door.address_of(asked)
        try:
            principal = await self._door.admit(asked)
        except Refusal as refusal:
            if refusal.code is ErrorCode.UNAUTHENTICATED:
                self._arrivals.check_stranger(request.protocol)
            raise
        try:
            full = self._find_place(request.protocol, asked, principal)
            del asked  # it would be kept for as long as a socket is open
            request[_PRINCIPAL] = principal if full is None else Surplus.of(principal, full)
            try:
                return await routed(request)
            except web.HTTPException:  # there is no such route
                if full is not None:
                    raise full from None
                raise
        except Refusal as refusal:
            self._door.audit_refusal(refusal, asked_of(request), principal)
            raise
        except Overloaded as error:
            self._door.audit_limit(error, asked_of(request), principal)
            raise

    def audit_limit(self, request: web.Request, limit: str) -> None:
        """Audit that an admitted request has hit the limit of this name."""
        self._door.audit_limit(Overloaded("", limit), asked_of(request), request[_PRINCIPAL])

    def _find_place(self, protocol: asyncio.BaseProtocol, asked: Asked, principal: Principal) -> Overloaded | None:
        """Give the request's connection a place, unless it is a probe.

        Return the error if there is none: the route then only finds out whether the request is refused anyway. Raises
        Refusal (429), and Overloaded for a page.
        """
        opening = opening_of(asked.method, asked.path)
        if opening is Opening.PROBE:
            return None
        try:
            self._arrivals.admit(protocol, principal)
        except Overloaded as full:
            if opening is Opening.PAGE:
                raise
            return full
        return None


def principal_of(request: web.Request) -> Principal:
    """Return the principal of a request."""
    return request[_PRINCIPAL]


def client_of(request: web.Request) -> str:
    """Return whom the limits count for a request that was admitted."""
    return request[_PRINCIPAL].counted_as(request[_ADDRESS])


def guest_of(request: web.Request, reception: Reception) -> Guest:
    """Return a new guest for the principal of a request, for one connection or stream."""
    return reception.receive(request[_PRINCIPAL], request[_ADDRESS])

"""REST routes for credentials: mint a token, revoke."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import hdrs, web

from turnwire.gateway.access.access import Access
from turnwire.gateway.access.credentials.minting import MintRequest
from turnwire.gateway.access.credentials.revocations import RevocationRequest, mark_of
from turnwire.gateway.access.guard import principal_of
from turnwire.gateway.http.answers import json_answer
from turnwire.gateway.http.body import BodyReader
from turnwire.protocol.bodies import MintedToken
from turnwire.protocol.rights import Scope
from turnwire.protocol.times import format_time


class AccessRoutes:
    """`/tokens`, `/revocations`."""

    def __init__(self, access: Access, bodies: BodyReader) -> None:
        self._access = access
        self._bodies = bodies

    async def mint_token(self, request: web.Request) -> web.Response:
        principal = principal_of(request)
        principal.require(Scope.MINT)
        asked = await self._bodies.decode(request, MintRequest)
        minted = self._access.minting.mint(principal, asked)
        expires_at = format_time(datetime.fromtimestamp(minted.expires_at, UTC))
        self._access.audit.token_minted(
            principal, sub=asked.sub, jti=minted.jti, scope=asked.scope, sessions=asked.sessions, expires_at=expires_at
        )
        answer = json_answer(MintedToken(minted.token, expires_at), status=201)
        answer.headers[hdrs.CACHE_CONTROL] = "no-store"
        return answer

    async def revoke(self, request: web.Request) -> web.Response:
        """Answer 204 once the revocation is durable. Every gateway closes the connections it covers within 5 s."""
        principal = principal_of(request)
        principal.require(Scope.ADMIN)
        asked = await self._bodies.decode(request, RevocationRequest)
        mark, _ = mark_of(asked)
        await self._access.revocations.revoke(asked)
        self._access.audit.revoked(principal, mark, asked.before)
        return web.Response(status=204)

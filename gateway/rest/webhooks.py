"""REST routes for the endpoints of webhooks."""

from __future__ import annotations

from aiohttp import hdrs, web

from turnwire.gateway.access.audit import Audit
from turnwire.gateway.access.guard import principal_of
from turnwire.gateway.access.principals import Principal
from turnwire.gateway.http.answers import json_answer
from turnwire.gateway.http.body import BodyReader
from turnwire.gateway.webhooks.registry import Registry
from turnwire.protocol.codec import JSON
from turnwire.protocol.messages import Limits, Shape
from turnwire.protocol.rights import Scope
from turnwire.protocol.telling.shapes import AmendWebhook, NewWebhook, ReplayWebhook, RotateWebhook, WebhookList


class WebhookRoutes:
    """`/webhooks`. Every one needs the scope admin."""

    def __init__(self, registry: Registry, bodies: BodyReader, limits: Limits, audit: Audit) -> None:
        self._registry = registry
        self._bodies = bodies
        self._limits = limits
        self._audit = audit

    async def add(self, request: web.Request) -> web.Response:
        principal = _admin(request)
        webhook, created = await self._registry.add(await self._bodies.decode(request, NewWebhook))
        if not created:
            return json_answer(webhook, replayed=True)
        self._audit.webhook(principal, webhook.webhook_id, "added")
        return _secret_answer(webhook, 201)

    async def list(self, request: web.Request) -> web.Response:
        _admin(request)
        return json_answer(WebhookList(await self._registry.list()))

    async def read(self, request: web.Request) -> web.Response:
        _admin(request)
        return json_answer(await self._registry.get(_id_of(request)))

    async def amend(self, request: web.Request) -> web.Response:
        principal = _admin(request)
        body = await self._bodies.decode(request, AmendWebhook)
        webhook = await self._registry.amend(_id_of(request), body)
        self._audit.webhook(principal, webhook.webhook_id, "amended")
        return json_answer(webhook)

    async def rotate(self, request: web.Request) -> web.Response:
        principal = _admin(request)
        raw = await self._bodies.read(request)
        body = JSON.decode_body(raw, RotateWebhook, self._limits) if raw else RotateWebhook()
        webhook = await self._registry.rotate(_id_of(request), body.overlap_seconds)
        self._audit.webhook(principal, webhook.webhook_id, "rotated")
        return _secret_answer(webhook, 200)

    async def replay(self, request: web.Request) -> web.Response:
        principal = _admin(request)
        body = await self._bodies.decode(request, ReplayWebhook)
        webhook = await self._registry.replay(_id_of(request), body.since)
        self._audit.webhook(principal, webhook.webhook_id, "replayed")
        return json_answer(webhook)

    async def test(self, request: web.Request) -> web.Response:
        _admin(request)
        return json_answer(await self._registry.test(_id_of(request)))

    async def remove(self, request: web.Request) -> web.Response:
        principal = _admin(request)
        webhook_id = _id_of(request)
        if await self._registry.remove(webhook_id):
            self._audit.webhook(principal, webhook_id, "removed")
        return web.Response(status=204)


def _admin(request: web.Request) -> Principal:
    principal = principal_of(request)
    principal.require(Scope.ADMIN)
    return principal


def _id_of(request: web.Request) -> str:
    return request.match_info["webhookId"]


def _secret_answer(webhook: Shape, status: int) -> web.Response:
    answer = json_answer(webhook, status=status)
    answer.headers[hdrs.CACHE_CONTROL] = "no-store"
    return answer

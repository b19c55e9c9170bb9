"""A gateway that asks for tokens: a door in front of a real one. It accepts the tokens a test registers."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Self

import aiohttp
from aiohttp import WSMsgType, web

from tests.support.gateways import Gateway

EXPIRED = 4402


class Gatekeeper:
    """Carries requests and WebSocket messages to a gateway for clients with a known token."""

    def __init__(self, gateway: Gateway) -> None:
        self.tokens: set[str] = set()
        """The tokens it accepts."""
        self.shown: list[str | None] = []
        """The token of each request."""
        self.renewed: list[str] = []
        """The tokens sent on open connections."""
        self._gateway = gateway
        self._sockets: set[web.WebSocketResponse[bool]] = set()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        assert self._runner is not None
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._request)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self.close(1001)
        await self._runner.cleanup()

    async def close(self, code: int) -> None:
        """Close every connection with this code."""
        await asyncio.gather(*(socket.close(code=code) for socket in list(self._sockets)))

    async def warn(self) -> None:
        """Tell every connection that its token is about to expire."""
        for socket in self._sockets:
            await socket.send_json({"type": "expiring", "expiresAt": "2026-01-01T00:00:00.000Z"})

    async def _request(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or None
        self.shown.append(token)
        if token not in self.tokens:
            return web.json_response({"code": "unauthenticated", "message": "this token is not known"}, status=401)
        if request.headers.get("Upgrade") == "websocket":
            return await self._socket(request)
        url = f"{self._gateway.url}{request.path_qs}"
        body = await request.read()
        async with self._gateway.client.request(request.method, url, data=body, headers=_JSON) as answer:
            return web.Response(body=await answer.read(), status=answer.status, content_type="application/json")

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        outer = web.WebSocketResponse(protocols=["turnwire.v1.json"])
        url = f"{self._gateway.url}{request.path_qs}"
        async with self._gateway.client.ws_connect(url, protocols=["turnwire.v1.json"]) as inner:
            await outer.prepare(request)
            self._sockets.add(outer)
            answers = asyncio.create_task(_carry(inner, outer))
            try:
                async for message in outer:
                    if message.type is WSMsgType.TEXT and not await self._takes(outer, message.data):
                        await inner.send_str(message.data)
            finally:
                self._sockets.discard(outer)
                answers.cancel()
        return outer

    async def _takes(self, socket: web.WebSocketResponse[bool], text: str) -> bool:
        message: dict[str, Any] = json.loads(text)
        if message["type"] != "auth":
            return False
        self.renewed.append(message["token"])
        await socket.send_json({"type": "authenticated", "expiresAt": "2026-01-01T01:00:00.000Z"})
        return True


_JSON = {"Content-Type": "application/json"}


async def _carry(inner: aiohttp.ClientWebSocketResponse[bool], outer: web.WebSocketResponse[bool]) -> None:
    async for message in inner:
        if message.type is WSMsgType.TEXT:
            await outer.send_str(message.data)
    await outer.close(code=inner.close_code or 1001)

"""Vapi's server URL: every call of your assistants becomes a session.

VAPI_SECRET=… python examples/vapi_webhook.py [http://127.0.0.1:3000] [8080]

Give Vapi http://…:8080/vapi as the server URL of an assistant, with the same secret. A message that arrives twice, even
at two processes, adds nothing, because the ids of its events are derived from its content.
"""

from __future__ import annotations

import hmac
import os
import sys

from aiohttp import web

from turnwire import Client
from turnwire.adapters.vapi import Unknown, webhook
from turnwire.adapters.webhook import store


def application(gateway: str, secret: str) -> web.Application:
    """Make a server with one route, /vapi. `secret` is the one that Vapi sends with each message."""
    app = web.Application()

    async def take(request: web.Request) -> web.Response:
        if not hmac.compare_digest(request.headers.get("X-Vapi-Secret", ""), secret):
            raise web.HTTPUnauthorized
        try:
            told = webhook(await request.json())
        except Unknown as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        async with Client(gateway) as client:
            await store(client, told)
        return web.json_response({})

    app.router.add_post("/vapi", take)
    return app


if __name__ == "__main__":
    gateway, port = (sys.argv[1:] + ["http://127.0.0.1:3000", "8080"][len(sys.argv) - 1 :])[:2]
    web.run_app(application(gateway, os.environ["VAPI_SECRET"]), port=int(port))

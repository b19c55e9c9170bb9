"""Retell's webhook: every call of your agents becomes a session.

RETELL_API_KEY=… python examples/retell_webhook.py [http://127.0.0.1:3000] [8080]

Give Retell http://…:8080/retell as the webhook URL of an agent, and subscribe to `transcript_updated` to follow calls
as they happen. Each webhook has the whole transcript so far. Events that are stored already are not stored again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import sys
import time

from aiohttp import web

from turnwire import Client
from turnwire.adapters.retell import Unknown, webhook
from turnwire.adapters.webhook import store

FRESH_SECONDS = 300


def signature(body: bytes, key: str, stamp: str) -> str:
    """Return Retell's signature of a webhook. `stamp` is its time in Unix milliseconds."""
    return hmac.new(key.encode(), body + stamp.encode(), hashlib.sha256).hexdigest()


def is_genuine(body: bytes, key: str, header: str) -> bool:
    """Return whether the header `X-Retell-Signature` is valid and recent."""
    found = re.fullmatch(r"v=(\d+),d=([0-9a-f]{64})", header)
    if found is None or abs(time.time() - int(found[1]) / 1000) > FRESH_SECONDS:
        return False
    return hmac.compare_digest(signature(body, key, found[1]), found[2])


def application(gateway: str, key: str) -> web.Application:
    """Make a server with one route, /retell. `key` is your Retell API key."""
    app = web.Application()

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        if not is_genuine(body, key, request.headers.get("X-Retell-Signature", "")):
            raise web.HTTPUnauthorized
        try:
            told = webhook(json.loads(body))
        except Unknown as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        async with Client(gateway) as client:
            await store(client, told)
        return web.Response(status=204)

    app.router.add_post("/retell", take)
    return app


if __name__ == "__main__":
    gateway, port = (sys.argv[1:] + ["http://127.0.0.1:3000", "8080"][len(sys.argv) - 1 :])[:2]
    web.run_app(application(gateway, os.environ["RETELL_API_KEY"]), port=int(port))

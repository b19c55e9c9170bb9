"""A gateway with authentication on, and requests with any rights."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.support.credentials import key_line, token, write_keys, write_secret
from tests.support.gateways import Gateway, StartGateway

ADMIN = f"tw_root_{'r' * 43}"
Headers = dict[str, str]
StartGuarded = Callable[..., Awaitable[Gateway]]


def bearer(credential: str) -> Headers:
    return {"Authorization": f"Bearer {credential}"}


def allowed(scope: str, *sessions: str, **claims: Any) -> Headers:
    """Return the header of a client with these scopes for these sessions, or for all if none is named."""
    return bearer(token(scope=scope, sessions=list(sessions or ("*",)), **claims))


async def start_guarded(start_gateway: StartGateway, folder: Path, *lines: str, **settings: Any) -> Gateway:
    """With the API key ADMIN and these lines of others, and the secret of tests for tokens. Its client is ADMIN unless
    a request says otherwise."""
    keys = write_keys(folder / "keys", key_line(ADMIN, "admin", []), *lines)
    secret = write_secret(folder / "secret")
    gateway = await start_gateway(api_keys_file=keys, jwt_secret_file=secret, **settings)
    gateway.client.headers.update(bearer(ADMIN))
    return gateway

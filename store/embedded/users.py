"""The one user of the embedded database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from turnwire.store.embedded.scram import MECHANISM, Credentials

Ask = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""The server's answer to a command, which is one of success."""


async def create_user(ask: Ask, credentials: Credentials) -> None:
    """Only a server that asks for no user takes this from nobody in particular."""
    user = {"createUser": credentials.user, "pwd": credentials.password, "roles": ["root"], "mechanisms": [MECHANISM]}
    await ask({**user, "$db": "admin"})


async def drop_other_users(ask: Ask, credentials: Credentials) -> None:
    """Drop those of first starts that were cut short, and of whoever was quick enough to make one meanwhile."""
    answer = await ask({"find": "system.users", "$db": "admin"})
    for found in answer["cursor"]["firstBatch"]:
        if (found["db"], found["user"]) != ("admin", credentials.user):
            await ask({"dropUser": found["user"], "$db": found["db"]})

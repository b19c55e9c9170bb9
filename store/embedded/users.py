"""The one user of the embedded database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from turnwire.store.embedded.scram import MECHANISM, DatabaseUser

Ask = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""Sends a command, and returns the server's answer. Raises if the command fails."""


async def create_user(ask: Ask, credentials: DatabaseUser) -> None:
    """Create the user. Works only on a server that requires no user yet."""
    user = {"createUser": credentials.user, "pwd": credentials.password, "roles": ["root"], "mechanisms": [MECHANISM]}
    await ask({**user, "$db": "admin"})


async def drop_other_users(ask: Ask, credentials: DatabaseUser) -> None:
    """Drop the users of interrupted first starts, and any that another process has created in the meantime."""
    answer = await ask({"find": "system.users", "$db": "admin"})
    for found in answer["cursor"]["firstBatch"]:
        if (found["db"], found["user"]) != ("admin", credentials.user):
            await ask({"dropUser": found["user"], "$db": found["db"]})

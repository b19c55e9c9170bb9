"""Trouble with the database, caused by the database's own test commands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pymongo import MongoClient

NOT_PRIMARY = 10107


def _configure(uri: str, mode: Any, data: dict[str, Any]) -> None:
    with MongoClient[dict[str, Any]](uri, timeoutMS=10_000) as client:
        client.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": data})


@asynccontextmanager
async def failing(uri: str, *commands: str, times: int | None = None, **how: Any) -> AsyncIterator[None]:
    """Make these commands of a gateway fail in the block, by `errorCode`, `closeConnection`, `writeConcernError`, or
    `blockConnection` with `blockTimeMS`; all of them, or the first `times`.
    """
    mode = "alwaysOn" if times is None else {"times": times}
    data = {"failCommands": list(commands), "appName": "turnwire", **(how or {"errorCode": NOT_PRIMARY})}
    await asyncio.to_thread(_configure, uri, mode, data)
    try:
        yield
    finally:
        await asyncio.to_thread(_configure, uri, "off", {})

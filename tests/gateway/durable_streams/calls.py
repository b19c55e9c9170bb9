"""A client of durable streams, as plain as the protocol is."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tests.support.gateways import Gateway

CLOSE = {"Stream-Closed": "true"}


class Answer(NamedTuple):
    status: int
    headers: Any
    items: Any
    """The decoded body; None for an empty one."""

    @property
    def offset(self) -> str:
        return str(self.headers["Stream-Next-Offset"])

    @property
    def closed(self) -> bool:
        return bool(self.headers.get("Stream-Closed") == "true")


def sending(producer: str, epoch: int, seq: int) -> dict[str, str]:
    """Return the headers of a producer's request."""
    return {"Producer-Id": producer, "Producer-Epoch": str(epoch), "Producer-Seq": str(seq)}


class Stream:
    """One stream."""

    def __init__(self, gateway: Gateway, path: str) -> None:
        self._gateway = gateway
        self.path = path

    async def put(self, items: Any = None, **headers: str) -> Answer:
        return await self.ask("PUT", "", items, {name.replace("_", "-"): value for name, value in headers.items()})

    async def post(self, items: Any = None, headers: dict[str, str] | None = None) -> Answer:
        return await self.ask("POST", "", items, headers or {})

    async def get(self, query: str = "", headers: dict[str, str] | None = None) -> Answer:
        return await self.ask("GET", query, None, headers or {})

    async def head(self) -> Answer:
        return await self.ask("HEAD", "", None, {})

    async def delete(self) -> Answer:
        return await self.ask("DELETE", "", None, {})

    async def ask(self, method: str, query: str, items: Any, headers: dict[str, str]) -> Answer:
        arguments = {"skip_auto_headers": ["Content-Type"]} if items is None else {"json": items}
        async with self._gateway.request(method, self.path + query, headers=headers, **arguments) as response:
            body = await response.read()
            return Answer(response.status, response.headers, json.loads(body) if body else None)

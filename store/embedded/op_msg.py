"""Sends single commands to a MongoDB server without a driver, each over its own connection."""

from __future__ import annotations

import asyncio
import struct
from typing import Any, Final

import bson
from bson.binary import Binary
from bson.errors import BSONError

from turnwire.store.embedded.scram import MECHANISM, DatabaseUser, ScramExchange

_OP_MSG: Final = 2013
_INTERNAL_ERROR: Final = 1
_AUTHENTICATION_FAILED: Final = 18


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, document: dict[str, Any]) -> dict[str, Any]:
        body = b"\0" + bson.encode(document)
        self._writer.write(struct.pack("<iiiiI", 20 + len(body), 1, 0, _OP_MSG, 0) + body)
        head = await self._reader.readexactly(16)
        reply = await self._reader.readexactly(struct.unpack("<i", head[:4])[0] - 16)
        return bson.decode(reply[5:])

    async def authenticate(self, credentials: DatabaseUser) -> None:
        """Log in. Raises ValueError if the server rejects the credentials, or does not know the password itself."""
        exchange = ScramExchange(credentials)
        start = {"saslStart": 1, "mechanism": MECHANISM, "options": {"skipEmptyExchange": True}}
        answer = await self.ask({**start, "payload": Binary(exchange.first()), "$db": "admin"})
        final = Binary(exchange.final(_payload(answer)))
        answer = await self.ask(
            {"saslContinue": 1, "conversationId": answer["conversationId"], "payload": final, "$db": "admin"}
        )
        exchange.confirm(_payload(answer))


class _NotLetIn(ValueError):
    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__("the server rejects the credentials")
        self.answer = answer


def _payload(answer: dict[str, Any]) -> bytes:
    if not answer.get("ok"):
        raise _NotLetIn(answer)
    return bytes(answer["payload"])


async def command(
    host: str, port: int, document: dict[str, Any], seconds: float, credentials: DatabaseUser | None = None
) -> dict[str, Any] | None:
    """Return the server's answer to a command such as `{"ping": 1, "$db": "admin"}`.

    None if no answer comes in time, or if the server has not proved that it knows the credentials. A server whose
    storage has failed cannot look the credentials up. It answers with an internal error, which is returned.
    """
    try:
        return await _ask(host, port, document, seconds, credentials)
    except _NotLetIn as refused:
        return refused.answer if refused.answer.get("code") == _INTERNAL_ERROR else None


async def is_broken(host: str, port: int, seconds: float, credentials: DatabaseUser | None = None) -> bool:
    """Return whether the server answers, but fails even at a query that matches nothing.

    `credentials` are those that it accepted before. If it rejects them now, its storage has failed: SecantusDB's Rust
    server then says that they are wrong.
    """
    query = {"find": "nothing", "filter": {"_id": "nothing"}, "$db": "admin"}
    try:
        answer = await _ask(host, port, query, seconds, credentials)
    except _NotLetIn as refused:
        return refused.answer.get("code") in (_INTERNAL_ERROR, _AUTHENTICATION_FAILED)
    return answer is not None and answer.get("code") == _INTERNAL_ERROR


async def _ask(
    host: str, port: int, document: dict[str, Any], seconds: float, credentials: DatabaseUser | None
) -> dict[str, Any] | None:
    """Return the answer, or None without one. Raises _NotLetIn if the server rejects the credentials."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                connection = _Connection(reader, writer)
                if credentials is not None:
                    await connection.authenticate(credentials)
                return await connection.ask(document)
            finally:
                writer.close()
    except _NotLetIn:
        raise
    except (OSError, TimeoutError, EOFError, ValueError, KeyError, BSONError):
        return None

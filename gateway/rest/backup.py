"""REST route for backups: all sessions with their events, as NDJSON."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from aiohttp import hdrs, web

from turnwire.gateway.access.guard import principal_of
from turnwire.gateway.http.media_types import NDJSON
from turnwire.gateway.http.query import Query
from turnwire.gateway.keeping.backup_lines import BackupLines
from turnwire.gateway.rest.streams import HttpStream, Streams
from turnwire.protocol.messages import Limits
from turnwire.protocol.rights import Scope

_LARGE = 64 * 1024
"""Bytes that are sent together, because each piece costs a write."""


class BackupRoute:
    """`GET /backup`."""

    def __init__(self, limits: Limits, lines: BackupLines, streams: Streams, *, slow_timeout: float) -> None:
        """`slow_timeout`: seconds after which a client that does not read is disconnected."""
        self._limits = limits
        self._lines = lines
        self._streams = streams
        self._slow_timeout = slow_timeout

    async def read_backup(self, request: web.Request) -> web.StreamResponse:
        principal_of(request).require(Scope.ADMIN)
        query = Query(request)
        before = query.cursor(self._limits)
        query.check()
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: NDJSON})
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client is gone")
        if request.method == hdrs.METH_HEAD:
            return web.Response(headers=response.headers)
        with self._streams.begun(request, None, transport.abort, scope=Scope.ADMIN) as stream:
            waiting = b""
            async with aclosing(self._lines.read(before)) as pieces:
                async for piece in pieces:
                    waiting += piece
                    if not response.prepared:  # after the first read, which may still fail with an error answer
                        await response.prepare(request)
                    if len(waiting) >= _LARGE:
                        await self._write(response, waiting, stream)
                        waiting = b""
            await self._write(response, waiting, stream)
            await response.write_eof()
            return response

    async def _write(self, response: web.StreamResponse, data: bytes, stream: HttpStream) -> None:
        stream.part_bytes = len(data)
        try:
            async with asyncio.timeout(self._slow_timeout):
                await response.write(data)
        except TimeoutError:
            raise ConnectionResetError("the client has stopped reading") from None
        finally:
            stream.part_bytes = 0

"""REST route for past calls: a stream of NDJSON with one session on each line, answered line by line."""

from __future__ import annotations

import asyncio
import re

from aiohttp import hdrs, web

from turnwire.gateway.access.audit import Audit
from turnwire.gateway.access.guard import principal_of
from turnwire.gateway.http.media_types import NDJSON
from turnwire.gateway.http.query import Query
from turnwire.gateway.importing.importer import Importer
from turnwire.gateway.importing.lines import BadLine, Line, Lines
from turnwire.gateway.rest.streams import Streams
from turnwire.protocol.codec import JSON
from turnwire.protocol.frame_encoder import one_line
from turnwire.protocol.messages import Limits
from turnwire.protocol.past_calls.lines import ImportOutcome
from turnwire.protocol.rights import Scope
from turnwire.store.sharing.places import Places

_AT_ONCE = 16
"""Maximum number of lines that are stored at the same time, over all imports. Lines that are still arriving, of which a
request has one, are not counted."""
_TYPES = re.compile(r"application/(?:x-)?(?:ndjson|jsonl|jsonlines|json)")


class ImportRoute:
    """`POST /import`."""

    def __init__(
        self, limits: Limits, importer: Importer, streams: Streams, audit: Audit, *, slow_timeout: float
    ) -> None:
        """`slow_timeout`: seconds after which a client that sends or reads nothing is disconnected."""
        self._limits = limits
        self._importer = importer
        self._streams = streams
        self._audit = audit
        self._slow_timeout = slow_timeout
        self._places = Places(_AT_ONCE)

    async def import_sessions(self, request: web.Request) -> web.StreamResponse:
        principal = principal_of(request)
        principal.require(Scope.ADMIN)
        query = Query(request)
        keep_open = query.choice("keepOpen", ("true", "false"), "false") == "true"
        verify = query.choice("verify", ("true", "false"), "false") == "true"
        restore = query.choice("restore", ("true", "false"), "false") == "true"
        query.check()
        if not _TYPES.fullmatch(request.content_type):
            raise web.HTTPUnsupportedMediaType(text=f"the body must be {NDJSON}, a session on each line")
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client is gone")
        with self._streams.begun(request, None, transport.abort, scope=Scope.ADMIN):
            answers = _Answers(request, self._slow_timeout)
            lines = Lines(answers.read, most_whole=self._limits.frame_bytes, most_element=self._limits.event_bytes)
            try:
                return await self._answer(answers, lines, keep_open=keep_open, verify=verify, restore=restore)
            finally:
                if not verify:
                    self._audit.sessions_imported(principal, answers.imported)

    async def _answer(self, answers: _Answers, lines: Lines, **manner: bool) -> web.StreamResponse:
        """Answer each line, treated in this `manner`. After a line that failed, the rest is not read: the client sends
        it again."""
        await answers.begin()
        while batch := await _next_lines(lines):
            outcomes = await asyncio.gather(*(self._take(line, answers, **manner) for line in batch))
            await answers.write(outcomes)
            if any(each.result == "failed" for each in outcomes):
                answers.response.force_close()
                break
        await answers.response.write_eof()
        return answers.response

    async def _take(self, line: Line | BadLine, client: _Answers, **manner: bool) -> ImportOutcome:
        if isinstance(line, BadLine) or not line.whole:
            return await self._importer.take(line, **manner)
        async with self._places.hold(client):
            return await self._importer.take(line, **manner)


class _Answers:
    """The answer to one import, and the body it answers. Raises ConnectionResetError if the client stalls."""

    def __init__(self, request: web.Request, seconds: float) -> None:
        self.response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: NDJSON})
        self.imported = 0
        self._request = request
        self._seconds = seconds

    async def begin(self) -> None:
        await self.response.prepare(self._request)

    async def read(self) -> bytes:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._request.content.readany()
        except (TimeoutError, web.RequestPayloadError):
            raise ConnectionResetError("the client has stopped sending") from None

    async def write(self, outcomes: list[ImportOutcome]) -> None:
        self.imported += sum(each.result == "imported" for each in outcomes)
        try:
            async with asyncio.timeout(self._seconds):
                await self.response.write(b"".join(one_line(JSON.encode(each)) + b"\n" for each in outcomes))
        except TimeoutError:
            raise ConnectionResetError("the client has stopped reading") from None


async def _next_lines(lines: Lines) -> list[Line | BadLine]:
    """Return the next lines: those that have arrived already, or else the next one to arrive; none at the end.

    Nothing follows a long line, whose events are still to be read.
    """
    batch: list[Line | BadLine] = []
    while line := await lines.next():
        batch.append(line)
        if len(batch) == _AT_ONCE or not lines.has_whole_line:
            break
    return batch

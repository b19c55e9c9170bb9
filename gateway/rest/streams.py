"""Streams over HTTP (NDJSON and SSE): how many are allowed, and how long each may last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

from turnwire.gateway.access.access import Access
from turnwire.gateway.access.buckets import ClientCounts
from turnwire.gateway.access.guard import client_of, guest_of
from turnwire.gateway.access.guests import Guest
from turnwire.gateway.access.refusals import Refusal
from turnwire.gateway.connections.open_connections import OUTBOX_LIMIT, OpenConnections
from turnwire.gateway.connections.outbox import FrameOutbox
from turnwire.protocol.errors import Overloaded, StorageUnavailable
from turnwire.protocol.rights import Scope


class HttpStream:
    """One streaming answer. `end` ends it; the client reconnects, and is then refused if it must be."""

    def __init__(
        self,
        request: web.Request,
        guest: Guest,
        session_id: str | None,
        *,
        end: Callable[[], None],
        outbox: FrameOutbox | None,
        scope: Scope,
    ) -> None:
        """`session_id`: None for a stream about many sessions. `scope`: the scope that the stream needs for as long as
        it lasts."""
        self._request = request
        self.guest = guest
        self.counted_as = guest.counted_as
        self._scope = scope
        self.outbox = outbox
        """The frames that wait for the client; None if the answer is written part by part."""
        self.part_bytes = 0
        """Size of the part that is being written, without an outbox."""
        self.end = end
        self._session_id = session_id

    @property
    def waiting_bytes(self) -> int:
        return self.part_bytes if self.outbox is None else self.outbox.size

    def shed(self) -> None:
        self.guest.limited(OUTBOX_LIMIT)
        self.end()

    @property
    def is_gone(self) -> bool:
        """Whether the client has left. A stream that waits for news does not notice by itself."""
        transport = self._request.transport
        return transport is None or transport.is_closing()

    def check_alive(self, _now: float) -> None:
        if self._request.transport is None or (self.guest.may_expire and self.guest.due() == "expired"):
            self.end()

    def judge_again(self) -> None:
        try:
            self.guest.judge_again()
        except Refusal:
            self.end()
        except StorageUnavailable:
            pass  # the rights stay as last known
        else:
            if not self.guest.principal.may(self._scope, self._session_id):
                self.end()


class Streams:
    """Admits streams, within their limits, and counts them among the open connections."""

    def __init__(self, connections: OpenConnections, access: Access, *, most: int, most_each: int) -> None:
        """`most`: the maximum number of streams; `most_each`: that of one principal, or of an address without one. 0
        means no limit."""
        self._connections = connections
        self._access = access
        self._most = most
        self._each = ClientCounts(most_each)
        self._streams: set[HttpStream] = set()

    @contextmanager
    def begun(
        self,
        request: web.Request,
        session_id: str | None,
        end: Callable[[], None],
        outbox: FrameOutbox | None = None,
        *,
        scope: Scope = Scope.READ,
    ) -> Iterator[HttpStream]:
        """Open a stream for the length of the block. Raises Overloaded, Refusal (429)."""
        guest = guest_of(request, self._access.reception)
        stream = HttpStream(request, guest, session_id, end=end, outbox=outbox, scope=scope)
        with guest.counted():
            self._check(stream.counted_as)
            self._each.enter(stream.counted_as)
            self._streams.add(stream)
            self._connections.followers.add(stream)
            guest.opened("stream", session_id)
            try:
                yield stream
            finally:
                self._leave(stream)
                guest.left(None)

    def check(self, request: web.Request) -> None:
        """Raise Overloaded if there is no room for another stream. Call this before finding out whether the session
        exists."""
        self._check(client_of(request))

    def _check(self, who: str) -> None:
        self._connections.check_draining()
        try:
            self._check_counts(who)
        except Overloaded:
            if not self._drop_gone():
                raise
            self._check_counts(who)

    def _check_counts(self, who: str) -> None:
        if self._most and len(self._streams) >= self._most:
            raise Overloaded(f"the gateway has {self._most} streams, which is the limit; try again later", "streams")
        if 0 < self._each.limit <= self._each.of(who):
            raise Overloaded(f"this client has {self._each.limit} streams, which is the limit", "streams")

    def _drop_gone(self) -> bool:
        """End the streams whose clients have left, and count them no more. Return whether there were any: a page that
        is loaded again opens its streams anew at once."""
        gone = [stream for stream in self._streams if stream.is_gone]
        for stream in gone:
            self._leave(stream)
            stream.end()
        return bool(gone)

    def _leave(self, stream: HttpStream) -> None:
        if stream in self._streams:
            self._streams.discard(stream)
            self._connections.followers.discard(stream)
            self._each.leave(stream.counted_as)

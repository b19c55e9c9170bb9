"""Follows one session over server-sent events: the replay, then the live events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType

from aiohttp import web

from turnwire.gateway.connections.outbox import FrameOutbox
from turnwire.gateway.connections.serving import Serving
from turnwire.gateway.http.media_types import SSE
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.rest.streams import Streams
from turnwire.gateway.sessions.requests import Requests
from turnwire.gateway.watching.audience import join
from turnwire.gateway.watching.encoded_batch import EncodedBatch, Picture
from turnwire.gateway.watching.subscription import EventSubscription, Frames, Watching
from turnwire.protocol.codec import JSON
from turnwire.protocol.errors import InvalidMessage, StorageUnavailable
from turnwire.protocol.frame_encoder import one_line
from turnwire.protocol.messages import JsonObject, Session

COMMENT_SECONDS = 15.0
"""Pause between two comments. They keep proxies from closing an idle connection, and reveal a dead one."""
_RETRY_SECONDS = 0.2


class SseFollower(EventSubscription):
    """A session watched over SSE. Only events have an `id`, which is their seq, so `Last-Event-ID` is always a seq."""

    __slots__ = ("wake",)

    def __init__(self, watching: Watching, state: SessionState, after_seq: int, outbox: FrameOutbox) -> None:
        super().__init__(watching, state, after_seq, outbox)
        self.wake = asyncio.Event()

    def frames(self, batch: EncodedBatch) -> Frames:
        frame = b"event: event\nid: %d\ndata: %s\n\n"
        return [(frame % (event.seq, one_line(JSON.encode(event))), event.seq) for event in batch.events]

    def signal_frame(self, key: str, payload: JsonObject) -> bytes:
        data = JSON.encode_value({"sessionId": self.state.session_id, "key": key, "payload": payload})
        return b"event: signal\ndata: %s\n\n" % one_line(data)

    def session_frame(self, picture: Picture) -> bytes:
        return picture.frame(SSE, _session_frame)

    def caught_up_frame(self) -> bytes:
        return b'event: caughtUp\ndata: {"seq":%d}\n\n' % self.cursor

    def begin(self, reconnect_after: float) -> None:
        """Queue the first message, which asks the client to wait this many seconds before it reconnects."""
        self.outbox.put(b"retry: %d\n\n" % round(reconnect_after * 1000))
        self.outbox.put(_session_frame(self.state.session()))

    @property
    def patience(self) -> float:
        """Seconds without news after which `keep_alive` is due."""
        return COMMENT_SECONDS

    def keep_alive(self) -> None:
        self.outbox.put(b": still here\n\n", key="comment")

    def fell_behind(self) -> None:
        self.wake.set()

    def session_erased(self) -> None:
        data = JSON.encode_value({"sessionId": self.state.session_id})
        self.outbox.put(b"event: erased\ndata: %s\n\n" % one_line(data))
        self.end()

    def break_off(self) -> None:
        self.end()

    @property
    def over(self) -> bool:
        return self.closed or self.outbox.closed

    def end(self) -> None:
        """End the answer: the client reconnects with `Last-Event-ID`."""
        self.close()
        self.wake.set()


def _session_frame(session: Session) -> bytes:
    return b"event: session\ndata: %s\n\n" % one_line(JSON.encode(session))


MakeFollower = Callable[[Watching, SessionState, int, FrameOutbox], SseFollower]


class SseRoute:
    """`GET /sessions/{id}/events` with `Accept: text/event-stream`."""

    def __init__(self, serving: Serving, streams: Streams, requests: Requests, watching: Watching) -> None:
        self.streams = streams
        self._requests = requests
        self._serving = serving
        self.watching = watching

    async def follow(
        self,
        request: web.Request,
        session_id: str,
        after_seq: int | None,
        make_follower: MakeFollower = SseFollower,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> web.StreamResponse:
        """Answer with the session's events after `after_seq`, and follow it until the client or the gateway leaves.

        None stands for its last event. `headers` are added to the answer, or replace those of the same name. Raises
        NoSuchSession, StorageUnavailable, Overloaded, and InvalidMessage if `after_seq` is beyond the log.
        """
        live = await self._requests.open(session_id)
        state = live.state
        last_seq = state.record.last_seq
        after_seq = last_seq if after_seq is None else after_seq
        if after_seq > last_seq:
            raise InvalidMessage(f"the cursor {after_seq} is beyond the session's lastSeq, which is {last_seq}")
        config = self._serving.config
        response = web.StreamResponse(
            headers={"Content-Type": SSE, "Cache-Control": "no-store", "X-Accel-Buffering": "no"} | dict(headers)
        )

        async def write(frame: bytes) -> None:
            try:
                async with asyncio.timeout(config.slow_pong_timeout):
                    await response.write(frame)
            except (TimeoutError, ConnectionError):
                follower.end()
                raise ConnectionResetError("the client is gone, or has stopped reading") from None

        follower = make_follower(self.watching, state, after_seq, FrameOutbox(write, None, config.outbox_bytes))
        with self.streams.begun(request, session_id, follower.end, follower.outbox):
            join(state, follower)  # keeps the session in memory; nothing is sent before `start`
            try:
                await response.prepare(request)
                follower.begin(config.reconnect_after)
                follower.start()
                await _serve(request, follower)
            finally:
                follower.close()
                follower.outbox.close()
        return response


async def _serve(request: web.Request, follower: SseFollower) -> None:
    outbox = follower.outbox
    while not follower.over:
        try:
            async with asyncio.timeout(follower.patience):
                await follower.wake.wait()
        except TimeoutError:
            if request.transport is None or request.transport.is_closing():
                return
            follower.keep_alive()
            continue
        follower.wake.clear()
        while follower.behind and not follower.over:
            await outbox.room()
            try:
                await follower.catch_up()
            except StorageUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
    await outbox.flushed()

"""One WebSocket of either kind: codec, outbox, reading, liveness and closing."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable
from contextlib import suppress

from aiohttp import WSCloseCode, WSMsgType, web

from turnwire.gateway.aiohttp_private import ignore_input
from turnwire.gateway.connections.closing import CLOSE_SECONDS, begin_closing, close_reason, closed, hang_up
from turnwire.gateway.connections.frames import Received, is_utf8, send_ping, server_frame
from turnwire.gateway.connections.handshake import check_handshake, check_subprotocol, new_socket
from turnwire.gateway.connections.open_connections import Kind
from turnwire.gateway.connections.outbox import FrameOutbox
from turnwire.gateway.connections.pulse import Pulse
from turnwire.gateway.connections.serving import Serving
from turnwire.gateway.connections.turn import GOODBYE_SECONDS, OPENING_SECONDS, Turn
from turnwire.protocol.codec import CODECS, JSON, Codec
from turnwire.protocol.errors import CloseCode, InvalidMessage, TurnwireError
from turnwire.protocol.messages import Error, Goaway, Message, Ping, Pong

_REPLIES_SHARE = 2.0
"""Pushes keep within the outbox's bound. Replies may take twice as much; beyond that, the socket is not read."""


class Connection:
    """One WebSocket. Owned by its request handler; any code may `send` to it or `close` it."""

    __slots__ = (  # a kilobyte less than a dictionary; several a line: a line for each would hide the class
        "_blocked", "_broken", "_close_received", "_close_when_open", "_closed_with", "_config", "_outbox", "_pulse",
        "_turn", "_wanted", "_ws", "closing", "codec", "deaf", "limits", "paused", "request", "serving",
    )  # fmt: skip

    kind: Kind
    patient = False
    """Whether a missing pong is tolerated longer while the other side has unread frames."""

    def __init__(self, request: web.Request, serving: Serving) -> None:
        self.request = request
        self.serving = serving
        self.limits = serving.limits
        self.codec: Codec = JSON
        self.paused = False
        """Whether the gateway has stopped reading for its own reasons. Silence then says nothing about the client."""
        self.closing: asyncio.Future[None] | None = None
        self.deaf = False
        """Whether frames that arrive are ignored."""
        self._config = serving.config
        self._ws = new_socket(self.limits)
        self._wanted = WSMsgType.TEXT  # the kind of data frames that the codec reads
        self._outbox: FrameOutbox | None = None
        self._closed_with: int | None = None
        self._turn = Turn(serving.turns, serving.config.max_frames_per_turn, serving.config.max_turn)
        self._close_when_open: tuple[int, str] | None = None
        self._close_received = False
        self._broken = False
        """Whether something invalid or too large was received. The rest of the stream is not read."""
        self._pulse = Pulse(serving.clock(), serving.config)
        self._blocked = False
        """Whether the gateway has stopped reading because the client does not read."""

    def check(self) -> None:
        """Raise InvalidMessage if the request is not a valid handshake, Overloaded if no connection is accepted."""
        check_subprotocol(self.request)
        check_handshake(self.request)
        if not self._ws.can_prepare(self.request):
            raise InvalidMessage(f"{self.request.path} is a WebSocket: connect with ws:// or wss://")
        self.serving.connections.check_draining()

    async def open(self) -> web.WebSocketResponse[bool]:
        """Finish the handshake. Raises Overloaded if no connection is accepted."""
        if (turn := self.serving.turns.enter(OPENING_SECONDS)) is not None:
            await turn
        self.serving.connections.check_draining()
        await self._ws.prepare(self.request)
        self.codec = CODECS.get(self._ws.ws_protocol or "", JSON)
        self._wanted = WSMsgType.TEXT if self.codec.text else WSMsgType.BINARY
        self._outbox = FrameOutbox(self._drain, self.request.transport, self._config.outbox_bytes)
        self._pulse = Pulse(self.serving.clock(), self._config)
        self.serving.connections.came(self)
        if self.serving.connections.draining:
            self.close(CloseCode.RESTART, "the gateway restarts; reconnect and resume")
        elif self._close_when_open is not None:
            self.close(*self._close_when_open)
        return self._ws

    @property
    def is_open(self) -> bool:
        """Whether the handshake was done. Stays True after closing."""
        return self._outbox is not None

    @property
    def outbox(self) -> FrameOutbox:
        assert self._outbox is not None, "the connection is not open yet"
        return self._outbox

    @property
    def waiting_bytes(self) -> int:
        return self.outbox.size

    async def _drain(self, frame: bytes) -> None:
        head = 10 if frame[1] == 127 else 4 if frame[1] == 126 else 2
        await self._ws.send_frame(frame[head:], WSMsgType(frame[0] & 0x0F))

    def send(self, message: Message) -> None:
        """Put a message into the outbox."""
        self.outbox.put(self.framed(message))

    def framed(self, message: Message) -> bytes:
        return self.frame(self.codec.encode(message))

    def frame(self, payload: bytes) -> bytes:
        return server_frame(payload, text=self.codec.text)

    def send_error(self, error: TurnwireError, ref: str | None = None) -> None:
        self.send(Error(error.code, error.message, error.retryable, ref))

    def answer_ping(self, ping: Ping) -> None:
        self._turn.waste()
        self.send(Pong(ping.ref))

    @property
    def is_owed(self) -> bool:
        return False

    def goaway(self, reason: str, after: float) -> None:
        if self.closing is None:
            self.send(Goaway(reason, round(after * 1000)))

    def judge_again(self) -> None:
        """Close the connection if the client's changed rights no longer allow it."""

    def takes_control_frame(self) -> bool:
        """Return whether to answer a ping: not if there are too many of them."""
        return True

    @abstractmethod
    def take(self, frame: bytes) -> Awaitable[None] | None:
        """Handle a data frame. Return what to wait for before the next one is read."""

    def pass_on(self) -> None:
        """Called before each wait and at the end: what `take` has got since the last call arrived together."""

    async def read(self) -> None:
        """Read until the connection ends. Close it for a frame of the wrong kind."""
        outbox = self.outbox
        self._turn.begin()  # frames may have arrived with the handshake
        try:
            while self.closing is None:
                message: Received | None = self._ws.received()
                if message is None:
                    self.pass_on()
                    message = await self._ws.receive()
                    self._close_received = message.type is WSMsgType.CLOSE
                    if self._turn.begin(anew=message.type is self._wanted):  # data would have been received at once
                        await self._wait_for_turn()
                    if self.closing is not None:
                        return
                self._pulse.pinged_at = None
                if message.type is self._wanted:
                    if (wait := self._take_data(message.data)) is not None:
                        self.pass_on()
                        await wait
                elif not await self._take_other(message):
                    return
                if self._turn.is_over() and (self._ws.waiting or self._turn.is_owed) and self.closing is None:
                    self.pass_on()
                    await self._wait_for_turn()
                if outbox.size > outbox.max_bytes * _REPLIES_SHARE:
                    self.pass_on()
                    self._blocked = True
                    await outbox.room(_REPLIES_SHARE)
                    self._blocked = False
        finally:
            self.pass_on()

    def _take_data(self, frame: bytes) -> Awaitable[None] | None:
        if self.deaf or self.serving.connections.draining:
            return None
        if self.codec.text and not (frame.isascii() or is_utf8(frame)):
            self.close(CloseCode.BAD_UTF8, "a text frame must be valid UTF-8")
            return None
        self.serving.frames_received(1)
        return self.take(frame)

    def arrived(self, most: int, size: int) -> list[bytes]:
        """Return frames that have arrived after the one being handled: `most` at most, and of this size together."""
        return self._ws.arrived(self._wanted, min(most, self._turn.left - 1), size)

    def took(self, frames: int) -> None:
        """Record that the next frames were handled together with the one before them."""
        self._ws.drop(frames)
        self._turn.also(frames)
        self.serving.frames_received(frames)

    async def _take_other(self, message: Received) -> bool:
        """Handle a message other than a data frame of the right kind. Return whether to read on."""
        if message.type is WSMsgType.PING or message.type is WSMsgType.PONG:
            self._turn.waste()
            if self.takes_control_frame() and message.type is WSMsgType.PING:
                await self._ws.pong(message.data)
            return True
        if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
            kind = "text" if self.codec.text else "binary"
            self.close(CloseCode.UNSUPPORTED_FRAME, f"{self.codec.subprotocol} takes {kind} frames only")
        else:
            self._broken = message.type is WSMsgType.ERROR
        return False

    async def _wait_for_turn(self) -> None:
        if self._turn.is_last:
            self.cut_off(CloseCode.TRY_LATER, "too many pings and messages that cannot be read; reconnect later")
            return
        self.paused = True
        await self._turn.next(self._ws.waiting)
        self.paused = False

    @property
    def look_at(self) -> float:
        """The time at which `check_alive` has something to do. It need not be called earlier."""
        return self._pulse.look_at

    @look_at.setter
    def look_at(self, when: float) -> None:
        self._pulse.look_at = when

    def check_alive(self, now: float) -> None:
        """Ping if it is time; close if the pong is overdue. `now` is the time on the loop's clock."""
        if self.closing is not None:
            return
        if self._pulse.pinged_at is None:
            if self._pulse.is_due(now):
                self._pulse.pinged(now, self._config)
                send_ping(self.request.transport)
            return
        slow = self._blocked or (self.patient and self.outbox.unread)
        allowed = self._pulse.overdue(now, self._config, slow=slow, paused=self.paused)
        if allowed is not None:
            self.close(CloseCode.NO_PONG, f"no pong for {allowed:g} s")

    def close(self, code: int, reason: str) -> None:
        """Close after the outbox is sent, or as soon as the handshake is done. Only the first call counts."""
        if self._outbox is None:
            self._close_when_open = self._close_when_open or (code, reason)
        elif self.closing is None:
            self._closed_with = None if self._close_received else code
            self.closing = begin_closing(self._close(code, reason)) if self.request.transport else closed(self.outbox)

    def cut_off(self, code: int, reason: str) -> None:
        """Close without reading what the client has sent or still sends."""
        self._broken = self.deaf = True
        ignore_input(self.request)
        self.close(code, reason)

    def shed(self) -> None:
        """Drop what waits, and close: too much waits for slow readers."""
        self.outbox.close()
        self.close(CloseCode.TRY_LATER, "too much data waits for slow readers; reconnect and resume")

    @property
    def close_code(self) -> int | None:
        """The close code of the side that closed first; None while open."""
        return self._ws.close_code if self._closed_with is None else self._closed_with

    def abort(self) -> None:
        if self.request.transport is not None:
            self.request.transport.abort()

    async def _close(self, code: int, reason: str) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.outbox.flushed()
        self.outbox.close()
        with suppress(TimeoutError, ConnectionError, RuntimeError):
            async with asyncio.timeout(CLOSE_SECONDS * 2):
                await self._ws.close(code=code, message=close_reason(reason), drain=False)
        if not self._close_received and not self._broken:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._ws.read_out()
        if self._broken or self._ws.close_code != WSCloseCode.ABNORMAL_CLOSURE:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await hang_up(self.request, broken=self._broken)
        self.abort()

    async def finish(self) -> None:
        """Close the connection and wait until nothing of it is left. The handler's last step."""
        try:
            if self.closing is None and self.request.transport is not None:  # many may say goodbye in the same moment
                await self.serving.turns.next(GOODBYE_SECONDS)
            self.close(CloseCode.DONE, "")
            if self.closing is not None and not self.closing.done():
                await asyncio.wait([self.closing])
        finally:
            self.serving.connections.left(self)

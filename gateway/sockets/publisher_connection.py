"""One publisher's socket: handles what arrives on it, and what its session reports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import Any

from aiohttp import web

from turnwire.gateway.access.enders import Enders
from turnwire.gateway.access.guests import Guest
from turnwire.gateway.access.lifetimes import EXPIRED_REASON
from turnwire.gateway.connections.serving import Serving
from turnwire.gateway.live.context import WaitingBytes
from turnwire.gateway.live.items import AcceptItem, EndItem, OutcomeItem, SignalItem
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.sockets.frames_together import FramesTogether
from turnwire.gateway.sockets.gathered_events import GatheredEvents
from turnwire.gateway.sockets.guest_connection import LARGE_FRAME, GuestConnection
from turnwire.gateway.sockets.held_signals import HeldSignals
from turnwire.protocol.codec import Batch
from turnwire.protocol.control.commands import Outcome
from turnwire.protocol.control.messages import Accept, CommandPush, CommandResult
from turnwire.protocol.errors import CloseCode, TurnwireError
from turnwire.protocol.limits import FRAME_BYTES
from turnwire.protocol.messages import (
    Ack,
    AckItem,
    BadEvent,
    Complete,
    Completed,
    EventIn,
    Nack,
    NackItem,
    Opened,
    Ping,
    PublisherCommand,
    Session,
    Signal,
)
from turnwire.protocol.rights import Scope
from turnwire.protocol.token_messages import Auth


class PublisherConnection(GuestConnection):
    """A publisher's connection. Reads only while the number of unanswered events is within its bounds."""

    __slots__ = (  # several to a line: a line for each would hide the class
        "_completing", "_enders", "_events", "_expiring", "_gathered", "_held_signals", "_in_flight",
        "_in_flight_bytes", "_live", "_max_in_flight_bytes", "_owed", "_room", "_signals", "_together", "_waiting",
        "epoch", "finished", "holder", "replaced", "session_id",
    )  # fmt: skip

    kind = "publisher"

    def __init__(
        self,
        request: web.Request,
        serving: Serving,
        guest: Guest,
        *,
        waiting: WaitingBytes,
        enders: Enders,
        session_id: str,
    ) -> None:
        super().__init__(request, serving, guest)
        self.session_id = session_id
        self._enders = enders
        self._waiting = waiting
        self._events, self._signals = guest.rates.events(), guest.rates.signals()
        self._held_signals: HeldSignals | None = None
        self._live: LiveSession  # from `run` on
        self.epoch = 0
        self.finished = False
        """Whether nothing it sends is accepted any more: it has completed its session or is superseded."""
        self.holder = guest.principal.id
        self.replaced: str | None = None
        """The principal of the publisher that this one has replaced."""
        self._completing = False
        self._expiring = False
        """Whether the credential has expired, so that the connection closes once nothing is in flight."""
        self._in_flight = 0
        self._in_flight_bytes = 0
        self._max_in_flight_bytes = 2 * self.limits.frame_bytes
        self._owed = 0.0
        """Seconds for which the socket is left unread, to keep the rate of events."""
        self._room: asyncio.Future[None] | None = None
        self._gathered = GatheredEvents(self.limits, serving.clock)
        """Empty during every await."""
        self._together = FramesTogether()

    # Called by the session

    def may_take_from(self, holder: str) -> bool:
        return self.guest.principal.may_take_over_from(holder)

    def took_over(self, holder: str | None) -> None:
        self.replaced = holder

    def replied(self, replies: Sequence[AckItem | NackItem], weight: int) -> None:
        """Send acks and nacks in the order of the events, one message for each run of either kind."""
        self._release(len(replies), weight)
        for kind, run in groupby(replies, type):
            self._answer(Ack if kind is AckItem else Nack, list(run))

    def acked(self, acks: list[AckItem], weight: int) -> None:
        """Send acks."""
        self._release(len(acks), weight)
        self._answer(Ack, acks)

    def _answer(self, kind: Callable[[list[Any]], Ack | Nack], replies: list[Any]) -> None:
        """Send replies of one kind in one message, or in several if their ids or reasons are long."""
        frame = self.framed(kind(replies))
        if len(frame) <= FRAME_BYTES or len(replies) == 1:
            self.outbox.put(frame)
            return
        half = len(replies) // 2
        self._answer(kind, replies[:half])
        self._answer(kind, replies[half:])

    def _release(self, count: int, weight: int) -> None:
        self._in_flight -= count
        self._in_flight_bytes -= weight
        if self._expiring and self._in_flight == 0:
            self._close_expired()
        self._wake_reader()

    def commanded(self, command: CommandPush) -> None:
        """Send a command to the bot."""
        self.send(command)

    def superseded(self) -> None:
        self.finished = True
        self.close(CloseCode.SUPERSEDED, "a newer publisher has taken over the session")

    def completed(self, session: Session) -> None:
        self.finished = True
        self.send(Completed(session))
        self.close(CloseCode.DONE, "completed")

    def session_ended(self, session: Session) -> None:
        if not self._completing:  # an end that it asked for is answered by `completed`
            self.send(Completed(session))

    @property
    def is_owed(self) -> bool:
        return self._in_flight > 0 or (self._completing and not self.finished)

    # Rights

    def is_allowed(self) -> bool:
        return self.guest.principal.may(Scope.PUBLISH, self.session_id)

    def expire(self) -> None:
        self.deaf = self._expiring = True
        if self._in_flight == 0:
            self._close_expired()
        else:
            asyncio.get_running_loop().call_later(self._config.drain_timeout, self._close_expired)

    def _close_expired(self) -> None:
        self.close(CloseCode.TOKEN_EXPIRED, EXPIRED_REASON)

    # The handler

    def run(self, live: LiveSession, opened: Opened) -> Awaitable[None]:
        """Serve the socket until it closes."""
        self._live = live
        if self._signals is not None:
            self._held_signals = HeldSignals(self._signals, self.serving.clock, live.submit)
        self.send(opened)
        return self.read()

    def take(self, frame: bytes) -> Awaitable[None] | None:
        if len(frame) > LARGE_FRAME:
            return self._take_large(frame)
        try:
            together = self._together.decode(frame, self, self.limits.in_flight - self._in_flight)
            if together is not None:
                return self._follow(*together)
            return self._follow(self.codec.decode_publisher(frame, self.limits), len(frame))
        except TurnwireError as error:
            self.refuse(error)
            return None

    async def _take_large(self, frame: bytes) -> None:
        try:
            command = await self.decoded(self.codec.decode_publisher, frame)
            if self.closing is not None:
                return
            wait = self._follow(command, len(frame))
            self.pass_on()
            if wait is not None:
                await wait
        except TurnwireError as error:
            self.refuse(error)

    def _follow(self, command: PublisherCommand | Auth | Batch, size: int) -> Awaitable[None] | None:
        """Carry out a message of this many bytes. Return what to wait for. Raises TurnwireError."""
        self.bad_in_a_row = 0
        if type(command) is Batch:
            self._gather(command.events, size)
        elif type(command) is Auth:
            return self.renew_or_refuse(command.token)
        else:
            self.pass_on()
            self._handle(command)
        return self._wait() if self._is_full or self._owed > 0 else None

    def _gather(self, events: list[EventIn | BadEvent], size: int) -> None:
        """Keep events until no more frames are there: the session takes the events of many frames as one append."""
        if self._completing:
            return  # after `complete` the rest is ignored, so that what waits stays bounded
        self._in_flight += len(events)
        self._in_flight_bytes += size
        if self._events is not None:
            self._owed = self._events.spend(self.serving.clock(), len(events))
        if self._gathered.add(events, size):
            self.pass_on()

    def pass_on(self) -> None:
        """Submit the events that have been gathered."""
        item = self._gathered.take(self)
        if item is not None:
            self._live.submit(item)

    def _handle(self, command: PublisherCommand | Auth | Batch) -> None:
        match command:
            case Ping():
                if self.takes_command():
                    self.answer_ping(command)
            case _ if self._completing:
                pass  # after `complete` the rest is ignored
            case Signal():
                self._signal(SignalItem(self, command.key, command.payload))
            case Accept():
                if self.takes_command():
                    self._live.submit(AcceptItem(self, command.commands))
            case CommandResult():
                self._live.submit(OutcomeItem(self, Outcome(command.command_id, command.state, command.message)))
            case Complete():
                self.guest.principal.require(Scope.COMPLETE, self.session_id)
                self._completing = True
                self._enders.note(self.session_id, self.guest.principal)
                self._live.submit(EndItem(command.status, command.reason, publisher=self))

    def _signal(self, item: SignalItem) -> None:
        if self._held_signals is None:
            self._live.submit(item)
        elif not self._held_signals.put(item):
            self.guest.limited("signals")

    @property
    def _is_full(self) -> bool:
        if self._in_flight >= self.limits.in_flight or self._in_flight_bytes >= self._max_in_flight_bytes:
            return True
        return self._in_flight > 0 and self._waiting.full

    async def _wait(self) -> None:
        """Leave the socket unread until there is room, so that TCP slows the client down, and the rate is kept."""
        self.paused = True
        while self._is_full and self.closing is None:
            self._room = asyncio.get_running_loop().create_future()
            await self._room
        if self._owed > 0:
            await self._wait_for_rate()
        self.paused = False
        self._room = None
        self._turn.begin(anew=True)

    async def _wait_for_rate(self) -> None:
        self.guest.limited("events")
        loop = asyncio.get_running_loop()
        until = loop.time() + self._owed
        self._owed = 0.0
        while (left := until - loop.time()) > 0 and self.closing is None:
            self._room = loop.create_future()
            timer = loop.call_later(left, self._wake_reader)
            await self._room
            timer.cancel()

    def _wake_reader(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def close(self, code: int, reason: str) -> None:
        super().close(code, reason)
        self._wake_reader()

    async def finish(self) -> None:
        if self._held_signals is not None:
            self._held_signals.close()
        self._enders.forget(self.session_id, self.guest.principal)
        await super().finish()

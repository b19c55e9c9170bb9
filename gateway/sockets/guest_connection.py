"""A WebSocket with a principal: what the principal may do, for how long, and how often."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TypeVar

from aiohttp import web

from turnwire.gateway.access.guests import Guest, Strikes
from turnwire.gateway.access.lifetimes import EXPIRED_REASON
from turnwire.gateway.access.refusals import Refusal
from turnwire.gateway.connections.connection import Connection
from turnwire.gateway.connections.open_connections import OUTBOX_LIMIT
from turnwire.gateway.connections.serving import Serving
from turnwire.protocol.errors import CloseCode, ErrorCode, StorageUnavailable, TurnwireError
from turnwire.protocol.messages import Limits
from turnwire.protocol.times import format_time
from turnwire.protocol.token_messages import Authenticated, Expiring

T = TypeVar("T")

LARGE_FRAME: Final = 128 * 1024
"""A longer frame is decoded in a thread, at a cost of 0.1 ms: decoding may take long and cannot pause."""
_NEVER: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""Sent as the expiry of a credential that never expires."""


class GuestConnection(Connection):
    """A connection with authentication and rate limits. Neither is checked for each event."""

    __slots__ = ("_commands", "_control", "bad_in_a_row", "guest")

    def __init__(self, request: web.Request, serving: Serving, guest: Guest) -> None:
        super().__init__(request, serving)
        self.guest = guest
        self._turn.client = guest.counted_as, self.kind
        self.bad_in_a_row = 0
        """Messages that could not be decoded since the last one that could."""
        control, commands = guest.rates.control_frames(), guest.rates.commands()
        self._control = None if control is None else Strikes(control, serving.clock)
        self._commands = None if commands is None else Strikes(commands, serving.clock)

    @abstractmethod
    def is_allowed(self) -> bool:
        """Return whether the principal's current rights allow this connection and everything it is used for."""

    async def decoded(self, decode: Callable[[bytes, Limits], T], frame: bytes) -> T:
        """Return what `decode` makes of a frame. Raises TurnwireError."""
        if len(frame) <= LARGE_FRAME:
            return decode(frame, self.limits)
        try:
            return await asyncio.to_thread(decode, frame, self.limits)
        except TurnwireError:
            self._turn.waste()  # the number of small ones is bounded
            raise

    # Bad messages

    def refuse(self, error: TurnwireError, ref: str | None = None) -> None:
        """Answer a bad frame with an error, and close after too many of them in a row."""
        self.bad_in_a_row += 1
        most = self._config.max_bad_messages
        self.send_error(error, ref)
        self.guest.refused(error, self.request.path)
        if 0 < most <= self.bad_in_a_row:
            self.guest.limited("bad_messages")
            self.cut_off(CloseCode.PROTOCOL_ERROR, f"{most} messages in a row could not be read")

    # Rates

    def takes_control_frame(self) -> bool:
        return self._control is None or self._is_within(self._control, "control_frames")

    def takes_command(self) -> bool:
        """Return whether a command or ping is within the rate. If not, the client has been told."""
        return self._commands is None or self._is_within(self._commands, "commands")

    def _is_within(self, strikes: Strikes, name: str) -> bool:
        if strikes.take():
            return True
        self.guest.limited(name)
        if strikes.out:
            self.cut_off(CloseCode.RATE_LIMITED, f"too many {name.replace('_', ' ')}")
        else:
            self.send_error(TurnwireError(ErrorCode.RATE_LIMITED, f"too many {name.replace('_', ' ')}; slow down"))
        return False

    def shed(self) -> None:
        self.guest.limited(OUTBOX_LIMIT)
        super().shed()

    # Rights

    def check_alive(self, now: float) -> None:
        super().check_alive(now)
        if self.guest.may_expire and self.closing is None:
            self.look_at = 0.0  # look again the next time
            self._check_expiry()

    def _check_expiry(self) -> None:
        due = self.guest.due()
        if due == "expiring":
            self.send(Expiring(self._expires_at()))
        elif due == "expired":
            self.expire()

    def _expires_at(self) -> str:
        expires_at = self.guest.principal.expires_at
        return format_time(_NEVER if expires_at is None else datetime.fromtimestamp(expires_at, UTC))

    def expire(self) -> None:
        """Close because the credential has expired. No more frames are read."""
        self.deaf = True
        self.close(CloseCode.TOKEN_EXPIRED, EXPIRED_REASON)

    def judge_again(self) -> None:
        """Check the rights again after keys or revocations have changed, and close if they no longer suffice."""
        try:
            changed = self.guest.judge_again()
        except Refusal as refusal:
            self.close(CloseCode.UNAUTHENTICATED, refusal.message)
        except StorageUnavailable:
            pass  # the rights stay as they were last known
        else:
            self.look_at = 0.0
            if changed and not self.is_allowed():
                self.close(CloseCode.FORBIDDEN, "the credential no longer allows this")

    async def renew(self, token: str) -> None:
        """Continue with another token. Raises Refusal, StorageUnavailable; the connection then continues as before."""
        await self.guest.renew(token)
        self.look_at = 0.0
        if not self.is_allowed():
            self.close(CloseCode.FORBIDDEN, "the new token does not allow this")
        elif not self.deaf:
            self.send(Authenticated(self._expires_at()))

    async def renew_or_refuse(self, token: str) -> None:
        """Continue with another token, or say why not."""
        try:
            await self.renew(token)
        except TurnwireError as error:
            self.refuse(error)

    async def finish(self) -> None:
        try:
            await super().finish()
        finally:
            self.guest.left(self.close_code)

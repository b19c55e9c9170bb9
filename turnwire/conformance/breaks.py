"""Exercises for a publisher whose connection ends: whether it stops or connects again, and what it sends again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from turnwire.conformance.exercise import GOAWAY, LEAST_PAUSE, Exercise, opened
from turnwire.conformance.line import ClientSocket, Message
from turnwire.conformance.publishing import Publishing
from turnwire.protocol.errors import CloseCode


class Resume(Publishing):
    name = "publish: a restart"
    meaning = "connect again after a goaway, and send again what comes after lastEventId of `opened`"
    breaks_after = 7

    async def break_off(self, line: ClientSocket) -> None:
        await line.send(GOAWAY)
        await line.close(CloseCode.RESTART)


class LostAcks(Resume):
    name = "publish: lost acks"
    meaning = "not be confused by events that are stored without an ack"

    async def answer(self, line: ClientSocket, reply: Message) -> None:
        if self.connections > 1 or len(self.log) <= 3:
            await super().answer(line, reply)


class Broken(Publishing):
    name = "publish: a broken connection"
    meaning = "connect again after a connection that broke, and send again what has no ack"
    breaks_after = 5


class Silent(Publishing):
    name = "publish: a silent connection"
    meaning = "treat a connection as dead if nothing arrives for 1.5 times limits.pingIntervalMs"
    breaks_after = 5

    def opened(self) -> Message:
        return opened(self.log, ping_interval_ms=500)

    async def break_off(self, line: ClientSocket) -> None:
        while self.connections == 1:
            await asyncio.sleep(_SILENT_SECONDS)


class TakenOver(Publishing):
    name = "publish: a takeover"
    meaning = "stop when a newer publisher has the session (close code 4409)"
    succeeds = False
    breaks_after = 5

    async def break_off(self, line: ClientSocket) -> None:
        await line.close(CloseCode.SUPERSEDED)

    def judge(self, status: int | None, lines: Sequence[str]) -> Iterator[str]:
        yield from super().judge(status, lines)
        if self.connections > 1:
            yield "connects again, and takes the session from the newer publisher"


class _Closed(Publishing):
    """Closes the first connection with a code, in the middle."""

    breaks_after = 5
    code: ClassVar[CloseCode]

    async def break_off(self, line: ClientSocket) -> None:
        await line.close(self.code)


class _Final(_Closed):
    succeeds = False

    def judge(self, status: int | None, lines: Sequence[str]) -> Iterator[str]:
        yield from super().judge(status, lines)
        if self.connections > 1:
            yield f"connects again after close code {self.code.value}"


class Paused(_Closed):
    """Expects a pause before the next handshake."""

    def __init__(self) -> None:
        super().__init__()
        self.closed_at = 0.0
        """When it closed the connection, on the loop's clock; 0 before."""

    async def break_off(self, line: ClientSocket) -> None:
        self.closed_at = asyncio.get_running_loop().time()
        await super().break_off(line)

    def judge(self, status: int | None, lines: Sequence[str]) -> Iterator[str]:
        yield from super().judge(status, lines)
        if any(0 < moment - self.closed_at < LEAST_PAUSE for moment in self.moments if self.closed_at):
            yield "connects again without a pause"


def _after(code: CloseCode, kind: type[_Closed], meaning: str) -> type[Exercise]:
    facts = {
        "code": code,
        "name": f"publish: close {code.value}",
        "meaning": f"{meaning} after close code {code.value}",
    }
    return type(f"Close{code.value}", (kind,), facts)


_SILENT_SECONDS: Final = 0.2
_STOP: Final = "stop, and end with an error"
_AGAIN: Final = "connect again, and send again what has no ack"
_PAUSE: Final = "pause, connect again, and send again what has no ack"

BREAKS: Final[list[type[Exercise]]] = [
    Resume,
    LostAcks,
    Broken,
    Silent,
    TakenOver,
    _after(CloseCode.UNSUPPORTED_FRAME, _Final, _STOP),
    _after(CloseCode.BAD_UTF8, _Final, _STOP),
    _after(CloseCode.TOO_BIG, _Final, _STOP),
    _after(CloseCode.PROTOCOL_ERROR, _Final, _STOP),
    _after(CloseCode.UNAUTHENTICATED, _Final, _STOP),
    _after(CloseCode.FORBIDDEN, _Final, _STOP),
    _after(CloseCode.NOT_FOUND, _Final, _STOP),
    _after(CloseCode.SESSION_ENDED, _Final, _STOP),
    _after(CloseCode.GOING_AWAY, _Closed, _AGAIN),
    _after(CloseCode.NO_PONG, _Closed, _AGAIN),
    _after(CloseCode.INTERNAL, Paused, _PAUSE),
    _after(CloseCode.TRY_LATER, Paused, _PAUSE),
    _after(CloseCode.RATE_LIMITED, Paused, _PAUSE),
]

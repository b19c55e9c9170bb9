"""Exercises for a publisher whose connection is closed: whether it stops, connects again, or waits before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from turnwire.conformance.exercise import LEAST_PAUSE, Exercise
from turnwire.conformance.line import Line
from turnwire.conformance.publishing import Publishing
from turnwire.protocol.errors import CloseCode


class _Closed(Publishing):
    """Closes the first connection with a code, in the middle."""

    breaks_after = 5
    code: ClassVar[CloseCode]

    async def break_off(self, line: Line) -> None:
        await line.close(self.code)


class _Final(_Closed):
    succeeds = False

    def judge(self, status: int | None, lines: Sequence[str]) -> Iterator[str]:
        yield from super().judge(status, lines)
        if self.connections > 1:
            yield f"connects again after close code {self.code.value}"


class _Paused(_Closed):
    def __init__(self) -> None:
        super().__init__()
        self._closed_at = 0.0

    async def break_off(self, line: Line) -> None:
        self._closed_at = asyncio.get_running_loop().time()
        await super().break_off(line)

    def judge(self, status: int | None, lines: Sequence[str]) -> Iterator[str]:
        yield from super().judge(status, lines)
        if any(0 < moment - self._closed_at < LEAST_PAUSE for moment in self.moments if self._closed_at):
            yield "connects again without a pause"


def _after(code: CloseCode, kind: type[_Closed], meaning: str) -> type[Exercise]:
    facts = {
        "code": code,
        "name": f"publish: close {code.value}",
        "meaning": f"{meaning} after close code {code.value}",
    }
    return type(f"Close{code.value}", (kind,), facts)


_STOP: Final = "stop, and end with an error"
_AGAIN: Final = "connect again, and send again what has no ack"
_PAUSE: Final = "pause, connect again, and send again what has no ack"

CLOSES: Final = [
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
    _after(CloseCode.INTERNAL, _Paused, _PAUSE),
    _after(CloseCode.TRY_LATER, _Paused, _PAUSE),
    _after(CloseCode.RATE_LIMITED, _Paused, _PAUSE),
]

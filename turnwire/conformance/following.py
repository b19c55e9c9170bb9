"""Exercises for a client that follows a session until its end, and prints the seq of each event on a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from turnwire.conformance.exercise import (
    COUNT,
    GOAWAY,
    LARGE,
    LARGEST,
    MIN_RECEIVE_BYTES,
    SESSION,
    UNKNOWN,
    Exercise,
    event,
    session,
)
from turnwire.conformance.line import ClientSocket, Message
from turnwire.protocol.errors import CloseCode, ErrorCode

_SUBSCRIBED: Final[Message] = {"session": session(COUNT), "lastSeq": COUNT, "minReceiveBytes": MIN_RECEIVE_BYTES}
_DEEP: Final = 60
"""Levels of a payload; 64 are allowed by default."""


class Following(Exercise):
    """Delivers the events that the client asks for, and then the session's end."""

    program = "follow"

    async def play(self, line: ClientSocket) -> None:
        while (message := await line.receive()) is not None:
            if message["type"] == "subscribe":
                await self.subscribed(line, message)
            elif message["type"] == "ping":
                await line.send({"type": "pong", "ref": message.get("ref")})

    async def subscribed(self, line: ClientSocket, message: Message) -> None:
        ref, after_seq = message.get("ref"), message.get("afterSeq") or 0
        if message.get("sessionId") != SESSION or not isinstance(ref, str) or not isinstance(after_seq, int):
            self.faults.append(f"subscribes with {message}")
            return
        await line.send({"type": "subscribed", "ref": ref, **_SUBSCRIBED})
        await self.deliver(line, ref, after_seq)

    async def deliver(self, line: ClientSocket, ref: str, after_seq: int) -> None:
        await self.send_events(line, ref, after_seq, COUNT)
        await self.finish(line, ref)

    async def send_events(self, line: ClientSocket, ref: str, after_seq: int, until: int, **payload: Any) -> None:
        events = [event(seq, **payload) for seq in range(after_seq + 1, until + 1)]
        if events:
            await line.send({"type": "events", "ref": ref, "sessionId": SESSION, "events": events})

    async def finish(self, line: ClientSocket, ref: str) -> None:
        await line.send({"type": "caughtUp", "ref": ref, "seq": COUNT})
        await line.send({"type": "session", "ref": ref, "session": session(COUNT, "completed")})

    def judge(self, status: int | None, lines: Sequence[str]) -> Iterator[str]:
        yield from super().judge(status, lines)
        wanted = [str(seq) for seq in range(1, COUNT + 1)]
        if self.succeeds and list(lines) != wanted:
            yield f"prints {' '.join(lines)[:80] or 'nothing'} in place of each seq from 1 to {COUNT} once"


class Plain(Following):
    name = "follow"
    meaning = "print each event once, and end with the session"


class Unknown(Following):
    name = "follow: the future"
    meaning = "ignore messages and fields that it does not know"

    async def deliver(self, line: ClientSocket, ref: str, after_seq: int) -> None:
        await line.send({**UNKNOWN, "ref": ref})
        await super().deliver(line, ref, after_seq)


class LargeFrame(Following):
    name = "follow: a large frame"
    meaning = "receive frames of 256 KiB"

    async def deliver(self, line: ClientSocket, ref: str, after_seq: int) -> None:
        await self.send_events(line, ref, after_seq, after_seq + 1, text=LARGE)
        await self.send_events(line, ref, after_seq + 1, COUNT)
        await self.finish(line, ref)


class LargestFrame(Following):
    name = "follow: the largest frame"
    meaning = "receive frames of minReceiveBytes of `subscribed`"

    async def deliver(self, line: ClientSocket, ref: str, after_seq: int) -> None:
        await self.send_events(line, ref, after_seq, after_seq + 1, text=LARGEST)
        await self.send_events(line, ref, after_seq + 1, COUNT)
        await self.finish(line, ref)


class Values(Following):
    name = "follow: values"
    meaning = "read whatever JSON a payload may hold: integers of 64 bits, 60 levels, any character"

    async def deliver(self, line: ClientSocket, ref: str, after_seq: int) -> None:
        deep: Any = None
        for _ in range(_DEEP):
            deep = {"": deep}
        facts: Any = {
            "id": 2**53 + 1,
            "least": -(2**63),
            "huge": 1e300,
            "deep": deep,
            "text": "\0\x85\u2028\u2029 ü 😀",
        }
        await self.send_events(line, ref, after_seq, COUNT, **facts)
        await self.finish(line, ref)


class Pings(Following):
    name = "follow: pings"
    meaning = "answer the gateway's pings"

    async def play(self, line: ClientSocket) -> None:
        await super().play(line)
        if line.answered_pings == 0:
            self.faults.append("does not answer pings")

    async def deliver(self, line: ClientSocket, ref: str, after_seq: int) -> None:
        await line.ping()
        await super().deliver(line, ref, after_seq)


class Broken(Following):
    name = "follow: a broken connection"
    meaning = "connect again after a connection that broke, and go on after the last seq"

    async def deliver(self, line: ClientSocket, ref: str, after_seq: int) -> None:
        if self.connections > 1:
            await super().deliver(line, ref, after_seq)
        else:
            await self.send_events(line, ref, after_seq, 7)
            await self.leave(line)

    async def leave(self, line: ClientSocket) -> None:
        line.abort()


class Restart(Broken):
    name = "follow: a restart"
    meaning = "connect again after a goaway, and go on after the last seq"

    async def leave(self, line: ClientSocket) -> None:
        await line.send(GOAWAY)
        await line.close(CloseCode.RESTART)


class Missing(Following):
    name = "follow: no session"
    meaning = "end with an error when its subscription gets the error `not_found`"
    succeeds = False

    async def subscribed(self, line: ClientSocket, message: Message) -> None:
        facts = {"code": ErrorCode.NOT_FOUND, "message": f"Session {SESSION} not found", "retryable": False}
        await line.send({"type": "error", "ref": message.get("ref"), **facts})


class NotAllowed(Following):
    name = "follow: not allowed"
    meaning = "end with an error when the handshake is answered with 403"
    succeeds = False
    refusal = ErrorCode.FORBIDDEN
    refusals = 1_000_000


FOLLOWING: Final[list[type[Exercise]]] = [
    Plain,
    Unknown,
    LargeFrame,
    LargestFrame,
    Values,
    Pings,
    Broken,
    Restart,
    Missing,
    NotAllowed,
]

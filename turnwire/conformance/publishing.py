"""Exercises for a client that publishes the events e1, e2, … and then ends the session."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import ClassVar, Final

from turnwire.conformance.exercise import COUNT, LARGE, LEAST_PAUSE, UNKNOWN, Exercise, opened, session
from turnwire.conformance.line import ClientSocket, Message
from turnwire.protocol.errors import CloseCode, ErrorCode

_IDLE_SECONDS: Final = 0.2


class Publishing(Exercise):
    """Stores what the client sends, and acks it."""

    program = "publish"
    breaks_after: ClassVar[int | None] = None
    """How many events the first connection stores. Later ones are lost with the connection."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []
        self.completed = False

    @property
    def expected(self) -> list[str]:
        return [f"e{n}" for n in range(1, COUNT + 1)]

    def opened(self) -> Message:
        return opened(self.log, sessionId=self.session_id)

    async def play(self, line: ClientSocket) -> None:
        await line.send(self.opened())
        while not self.completed and (message := await line.receive()) is not None:
            if message["type"] == "append":
                if await self.appended(line, message.get("events", [])):
                    return
            elif message["type"] == "complete":
                await self.end(line)
            elif message["type"] == "ping":
                await line.send({"type": "pong", "ref": message.get("ref")})

    async def appended(self, line: ClientSocket, events: list[Message]) -> bool:
        """Store and ack events. Return whether the connection has been broken."""
        for each in events:
            if self.connections == 1 and len(self.log) == self.breaks_after:
                await self.break_off(line)
                return True
            await self.answer(line, self.stored(each))
        return False

    async def answer(self, line: ClientSocket, reply: Message) -> None:
        await line.send(reply)

    async def break_off(self, line: ClientSocket) -> None:
        line.abort()

    def stored(self, given: Message) -> Message:
        """Store one event, and return its ack."""
        event_id = given.get("eventId")
        if event_id in self.log:
            return _ack(event_id, self.log.index(event_id) + 1, duplicate=True)
        if event_id not in self.expected:
            self.faults.append(f"sends an event {event_id!r}, which it was not asked to send")
        else:
            self._check(given, event_id)
        self.log.append(str(event_id))
        return _ack(event_id, len(self.log))

    def _check(self, given: Message, event_id: str) -> None:
        following = next(each for each in self.expected if each not in self.log)
        if event_id != following:
            self.faults.append(f"sends {event_id} when {following} must come first")
        if given.get("type") != "user_speech" or given.get("payload") != {"n": int(event_id[1:])}:
            self.faults.append(f"sends {event_id} with another type or payload than it was asked to")

    async def end(self, line: ClientSocket) -> None:
        if self.log != self.expected:
            self.faults.append(f"ends the session with {len(self.log)} of {len(self.expected)} events stored")
        self.completed = True
        await line.send(
            {"type": "completed", "session": session(len(self.log), "completed", sessionId=self.session_id)}
        )
        await line.close(CloseCode.DONE)

    def judge(self, status: int | None, lines: Sequence[str]) -> Iterator[str]:
        yield from super().judge(status, lines)
        if self.succeeds and not self.completed:
            yield f"did not end the session; {len(self.log)} of {len(self.expected)} events are stored"


def _ack(event_id: object, seq: int, *, duplicate: bool = False) -> Message:
    return {"type": "ack", "acks": [{"eventId": event_id, "seq": seq, **({"duplicate": True} if duplicate else {})}]}


class Plain(Publishing):
    name = "publish"
    meaning = "send all events in order, then end the session"


class Slash(Publishing):
    name = "publish: an id with a slash"
    meaning = "percent-encode the id in the path, or give it as ?sessionId= with - in its place"
    session_id = "calls/ü 1"


class Unknown(Publishing):
    name = "publish: the future"
    meaning = "ignore messages and fields that it does not know"

    async def play(self, line: ClientSocket) -> None:
        await line.send(UNKNOWN)
        await super().play(line)

    def stored(self, given: Message) -> Message:
        return {**super().stored(given), "fieldOfTheFuture": 1}


class LargeFrame(Publishing):
    name = "publish: a large frame"
    meaning = "receive frames of 256 KiB"

    def opened(self) -> Message:
        return opened(self.log, metadata={"note": LARGE})


class _Gathering(Publishing):
    """Answers when the client sends nothing more."""

    window: ClassVar[int]

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        """Maximum number of events that have been unanswered at a time."""

    def opened(self) -> Message:
        return opened(self.log, self.window)

    async def play(self, line: ClientSocket) -> None:
        await line.send(self.opened())
        waiting: list[Message] = []
        reading: asyncio.Task[Message | None] | None = None
        while not self.completed:
            reading = reading or asyncio.create_task(line.receive())
            await asyncio.wait({reading}, timeout=_IDLE_SECONDS)
            if not reading.done():
                await self.answer_all(line, waiting)
                waiting = []
                continue
            message, reading = reading.result(), None
            if message is None:
                return
            if message["type"] == "append":
                waiting += message.get("events", [])
                self.most = max(self.most, len(waiting))
            elif message["type"] == "complete":
                await self.answer_all(line, waiting)
                await self.end(line)

    async def answer_all(self, line: ClientSocket, waiting: Sequence[Message]) -> None:
        for each in waiting:
            await line.send(self.stored(each))


class Window(_Gathering):
    name = "publish: the window"
    meaning = "keep at most limits.maxInFlight events unanswered"
    window = 3

    def judge(self, status: int | None, lines: Sequence[str]) -> Iterator[str]:
        yield from super().judge(status, lines)
        if self.most > self.window:
            yield f"has {self.most} events unanswered, {self.window} are allowed"


class Together(_Gathering):
    name = "publish: acks together"
    meaning = "read every ack of a message: there may be many"
    window = 256

    async def answer_all(self, line: ClientSocket, waiting: Sequence[Message]) -> None:
        acks = [ack for each in waiting for ack in self.stored(each)["acks"]]
        if acks:
            await line.send({"type": "ack", "acks": acks})


class Pings(Publishing):
    name = "publish: pings"
    meaning = "answer the gateway's pings"

    async def play(self, line: ClientSocket) -> None:
        await line.ping()
        await super().play(line)
        if line.answered_pings == 0:
            self.faults.append("does not answer pings")


class RefusedEvent(Publishing):
    name = "publish: a nack"
    meaning = "go on after a nack, and not send the event again"

    @property
    def expected(self) -> list[str]:
        return [each for each in super().expected if each != "e5"]

    def __init__(self) -> None:
        super().__init__()
        self._refused = 0

    def stored(self, given: Message) -> Message:
        if given.get("eventId") != "e5":
            return super().stored(given)
        self._refused += 1
        if self._refused == 2:
            self.faults.append("sends e5 again after a nack")
        nack = {"eventId": "e5", "code": ErrorCode.INVALID_EVENT, "message": "not this one", "retryable": False}
        return {"type": "nack", "nacks": [nack]}

    def judge(self, status: int | None, lines: Sequence[str]) -> Iterator[str]:
        yield from super().judge(status if status is None else 0, lines)  # the client may report the refusal or not


class Overloaded(Publishing):
    name = "publish: no gateway"
    meaning = "try again, with a pause, while handshakes are answered with 503"
    refusal = ErrorCode.OVERLOADED
    refusals = 2

    def judge(self, status: int | None, lines: Sequence[str]) -> Iterator[str]:
        yield from super().judge(status, lines)
        if any(later - earlier < LEAST_PAUSE for earlier, later in pairwise(self.moments[:3])):
            yield "tries again without a pause"


class Missing(Publishing):
    name = "publish: no session"
    meaning = "end with an error when the handshake is answered with 404"
    succeeds = False
    refusal = ErrorCode.NOT_FOUND
    refusals = 1_000_000


PUBLISHING: Final[list[type[Exercise]]] = [
    Plain,
    Slash,
    Unknown,
    LargeFrame,
    Window,
    Together,
    Pings,
    RefusedEvent,
    Overloaded,
    Missing,
]

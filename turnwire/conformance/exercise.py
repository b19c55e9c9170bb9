"""What all exercises have in common: their program, what they expect, and how they judge."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

from turnwire.conformance.line import ClientSocket, Message
from turnwire.protocol.errors import ErrorCode
from turnwire.protocol.messages import Limits

SESSION = "conformance"
COUNT = 20
"""The number of events in a session."""
LEAST_PAUSE = 0.05
"""The minimum number of seconds of a pause that a client must make."""
MIN_RECEIVE_BYTES = 802_816
_TIME = "2025-12-21T10:30:00.000Z"


class Exercise(ABC):
    """One run of the client under test, against a gateway that plays a part."""

    name: ClassVar[str]
    meaning: ClassVar[str]
    """What a client must do in this exercise."""
    program: ClassVar[Literal["publish", "follow"]]
    succeeds: ClassVar[bool] = True
    """Whether the client can do its work. If not, it must exit with a status other than 0."""
    refusal: ClassVar[ErrorCode | None] = None
    """The code with which the first `refusals` handshakes are refused."""
    refusals: ClassVar[int] = 0
    session_id: ClassVar[str] = SESSION

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.connections = 0
        self.moments: list[float] = []
        """When each handshake arrived, on the loop's clock."""

    @property
    def arguments(self) -> list[str]:
        """The client's arguments after the URL and the session."""
        return [str(COUNT)] if self.program == "publish" else []

    @abstractmethod
    async def play(self, line: ClientSocket) -> None:
        """Play one connection, up to its expected end."""

    def judge(self, status: int | None, lines: Sequence[str]) -> Iterator[str]:
        """Return what the client did wrong, given its exit status (None: it had to be killed) and what it printed."""
        yield from self.faults
        if status is None:
            yield "did not end in time"
        elif self.succeeds and status != 0:
            yield f"ended with status {status}"
        elif not self.succeeds and status == 0:
            yield "ended with status 0, as if its work were done"


def session(last_seq: int, status: str = "active", **fields: Any) -> Message:
    """Return a session in the form of a gateway's description, with a field that this version does not know."""
    return {
        "sessionId": SESSION,
        "status": status,
        "language": "en",
        "startedAt": _TIME,
        "endedAt": _TIME if status == "completed" else None,
        "metadata": {},
        "lastSeq": last_seq,
        "lastEventAt": _TIME if last_seq else None,
        "endReason": None,
        "figures": None,
        "fieldOfTheFuture": {"any": [1, None]},
        **fields,
    }


def opened(log: Sequence[str], window: int = 256, ping_interval_ms: int = 20_000, **fields: Any) -> Message:
    """Return the first message to a publisher for a log with these eventIds. `fields` are those of the session."""
    limits = Limits()
    return {
        "type": "opened",
        "session": session(len(log), **fields),
        "epoch": 1,
        "lastSeq": len(log),
        "lastEventId": log[-1] if log else None,
        "limits": {
            "maxInFlight": window,
            "maxEventBytes": limits.event_bytes,
            "maxFrameBytes": limits.frame_bytes,
            "maxBatchEvents": limits.batch_events,
            "pingIntervalMs": ping_interval_ms,
            "maxDepth": limits.depth,
            "minReceiveBytes": MIN_RECEIVE_BYTES,
        },
        "serverTime": _TIME,
    }


def event(seq: int, **payload: Any) -> Message:
    """Return a stored event."""
    return {
        "eventId": f"e{seq}",
        "sessionId": SESSION,
        "type": "user_speech",
        "payload": {"n": seq, **payload},
        "timestamp": _TIME,
        "seq": seq,
    }


GOAWAY: Message = {"type": "goaway", "reason": "restart", "reconnectAfterMs": 100}
UNKNOWN: Message = {"type": "typeOfTheFuture", "ref": "1", "value": {"any": [1, None]}}
LARGE = "x" * 250_000
"""Makes a frame almost 256 KiB long."""
LARGEST = "x" * 800_000
"""Makes a frame almost MIN_RECEIVE_BYTES long."""

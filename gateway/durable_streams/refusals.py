"""The errors of the protocol, with the headers that tell clients the reason."""

from __future__ import annotations

from turnwire.gateway.durable_streams.offsets import offset_of
from turnwire.protocol.errors import ErrorCode, InvalidMessage, TurnwireError

NEXT_OFFSET = "Stream-Next-Offset"
UP_TO_DATE = "Stream-Up-To-Date"
CURSOR = "Stream-Cursor"
CLOSED = "Stream-Closed"
PRODUCER_ID = "Producer-Id"
PRODUCER_EPOCH = "Producer-Epoch"
PRODUCER_SEQ = "Producer-Seq"
EXPECTED_SEQ = "Producer-Expected-Seq"
RECEIVED_SEQ = "Producer-Received-Seq"
STREAM_SEQ = "Stream-Seq"
TRUE = "true"


class StreamClosed(TurnwireError):
    """The session has ended, and its grace time is over."""

    def __init__(self, session_id: str, last_seq: int) -> None:
        super().__init__(ErrorCode.SESSION_ENDED, f"session {session_id!r} has ended: its stream is closed")
        self.headers = {CLOSED: TRUE, NEXT_OFFSET: offset_of(last_seq)}


class StaleEpoch(TurnwireError):
    """The producer has begun a newer epoch."""

    def __init__(self, producer: str, epoch: int) -> None:
        super().__init__(ErrorCode.SUPERSEDED, f"producer {producer!r} is in epoch {epoch}")
        self.status = 403
        self.headers = {PRODUCER_EPOCH: str(epoch)}


class SequenceGap(TurnwireError):
    """An earlier request of the producer is missing."""

    def __init__(self, producer: str, expected: int, received: int) -> None:
        super().__init__(ErrorCode.EVENT_CONFLICT, f"producer {producer!r} must go on with {expected}, not {received}")
        self.headers = {EXPECTED_SEQ: str(expected), RECEIVED_SEQ: str(received)}


class SequenceRegression(TurnwireError):
    """A `Stream-Seq` is not greater than the last one."""

    def __init__(self, last: str, received: str) -> None:
        super().__init__(ErrorCode.EVENT_CONFLICT, f"{STREAM_SEQ} must be behind {last!r}; {received!r} is not")


def conflict(message: str) -> InvalidMessage:
    """Return the refusal (409) of a request that does not fit the current stream."""
    error = InvalidMessage(message)
    error.status = 409
    return error

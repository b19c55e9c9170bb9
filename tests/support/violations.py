"""What may be wrong with a history."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Kind(StrEnum):
    """What may be wrong with a history."""

    LOST = "acked and lost"
    DOUBLED = "stored twice"
    CHANGED = "payload changed"
    MOVED = "an ack whose seq changed"
    HOLE = "hole or disorder in the log"
    MISORDERED = "publisher order broken"
    SKIPPED = "stored without what the publisher had sent before it"
    FENCED = "stored or acked for a fenced epoch"
    SHARED_EPOCH = "one epoch, several publishers"
    MISANSWERED = "answers that are not one for each sending, in order"
    NOT_FINAL = "a nack that is not final"
    REFUSED = "nacked and stored"
    MISOPENED = "an opened that contradicts the log"
    SUBSCRIBER_HOLE = "subscriber hole"
    SUBSCRIBER_REPEAT = "subscriber repeat"
    DIVERGED = "subscriber divergence"
    NOT_DURABLE = "delivered but not durable"
    NOT_CAUGHT_UP = "never caught up"
    WRONG_CAUGHT_UP = "a caughtUp that is not where the subscriber stands"
    PHANTOM = "phantom event"
    COMMAND_LOST = "a command lost"
    COMMAND_REPEATED = "a command carried out twice"
    COMMAND_LATE = "a command carried out after its time"
    COMMAND_PHANTOM = "a command that nobody asked for"


class Violation(Struct, frozen=True):
    kind: Kind
    session_id: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: session {self.session_id!r}: {self.text}"

"""What happened to one session in a run, as its clients saw it: everything the checker needs, and nothing of the
gateway.

A client in another process can write a history to a file, which is then joined with others.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from turnwire.protocol.messages import Event, EventIn


def content_of(type_: str, payload: dict[str, Any]) -> str:
    """Return a digest of type and payload, equal only if both are equal, including the order of keys and the kind of
    numbers.
    """
    return blake2b(msgspec.json.encode((type_, payload)), digest_size=8).hexdigest()


class Sending(Struct, frozen=True, array_like=True, gc=False):
    """One event as a client sent it."""

    event_id: str
    content: str


class Answer(Struct, frozen=True, array_like=True, gc=False):
    """An ack (with a seq) or a nack (with a code) of one sending."""

    event_id: str | None
    seq: int | None = None
    duplicate: bool = False
    code: str | None = None
    retryable: bool = False


class Entry(Struct, frozen=True, array_like=True, gc=False):
    """One stored event, as it was read, delivered or answered."""

    seq: int
    event_id: str
    content: str
    timestamp: str
    epoch: int | None = None
    """The epoch of the publisher that stored it, if known for certain; clients cannot see it."""


class Publishing(Struct, array_like=True):
    """One publisher connection, from its `opened` on."""

    client: str
    """The client. Over all its connections, it sends new events in one order. On a new connection, it begins with the
    first one that is not stored."""
    gateway: str
    """The gateway process."""
    epoch: int
    opened_seq: int
    opened_event_id: str | None
    sent: list[Sending] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


class RestAppend(Struct, array_like=True):
    """One REST append. `stored` is its answer; None for no answer or an error, when the outcome is unknown."""

    client: str
    sent: list[Sending]
    stored: list[Entry] | None = None


class CommandAsked(Struct, array_like=True):
    """A command as one supervisor requested it, over all its attempts. Times are seconds of one clock."""

    command_id: str
    content: str
    expires_at: float
    """The earliest moment at which the command may expire, computed from the first attempt."""
    answered_at: float | None = None
    """When the command was first answered, and was therefore in the log; None if it never was."""
    settled: bool = False
    """Whether the supervisor was told that the bot has ended the command."""


class CommandBegun(Struct, frozen=True, array_like=True):
    """A command that a bot begins to carry out."""

    process: str
    """The bot process, which remembers what it has carried out over all its connections."""
    command_id: str
    content: str
    at: float
    expires_at: float


class Attendance(Struct, array_like=True):
    """A connection of a bot that takes commands, starting with its `accept`."""

    since: float
    until: float | None = None
    """None while the connection lasts."""


class Following(Struct, array_like=True):
    """One subscription, from its `subscribed` on."""

    client: str
    after_seq: int
    received: list[Entry] = field(default_factory=list)
    caught_up: list[tuple[int, int]] = field(default_factory=list)
    """For each `caughtUp`: how many events came before it, and its seq."""


class History(Struct):
    """One session. The connections of one client are in the order of time."""

    session_id: str
    publishings: list[Publishing] = field(default_factory=list)
    rest: list[RestAppend] = field(default_factory=list)
    followings: list[Following] = field(default_factory=list)
    asked: list[CommandAsked] = field(default_factory=list)
    begun: list[CommandBegun] = field(default_factory=list)
    attended: list[Attendance] = field(default_factory=list)
    must_have_all: set[str] = field(default_factory=set)
    """Subscribers that had enough time to receive the whole log."""
    refusable: set[str] = field(default_factory=set)
    """Events that the database refuses. A publisher may go on without having heard of that."""
    log: list[Entry] = field(default_factory=list)
    """The whole log at the end, in the order it was read."""

    def join(self, other: History) -> None:
        """Add what another witness of the same session saw."""
        assert other.session_id == self.session_id
        self.publishings += other.publishings
        self.rest += other.rest
        self.followings += other.followings
        self.asked += other.asked
        self.begun += other.begun
        self.attended += other.attended
        self.must_have_all |= other.must_have_all
        self.refusable |= other.refusable


def sending_of(event: EventIn) -> Sending:
    return Sending(event.event_id, content_of(event.type, event.payload))


def entry_of(event: Event) -> Entry:
    return Entry(event.seq, event.event_id, content_of(event.type, event.payload), event.timestamp)


def save(histories: Iterable[History], path: Path) -> None:
    """Write the histories to a file, replacing an earlier one in one step."""
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(msgspec.msgpack.encode(list(histories)))
    unfinished.replace(path)


def load(path: Path) -> list[History]:
    return msgspec.msgpack.decode(path.read_bytes(), type=list[History])

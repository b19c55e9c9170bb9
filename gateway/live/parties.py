"""The parties a live session talks to: its publisher, and those who watch. The session knows only these protocols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from turnwire.protocol.control.messages import CommandPush
from turnwire.protocol.messages import AckItem, Event, JsonObject, NackItem, Session


class Sender(Protocol):
    """A publisher, as its session sees it."""

    epoch: int
    """The epoch that the publisher's claim was given; 0 before that."""
    finished: bool
    """Whether nothing it sends is accepted any more: it has completed its session or is superseded."""
    holder: str
    """The identity of the publisher, which other gateways know as well."""

    def may_take_from(self, holder: str) -> bool:
        """Return whether this publisher may take the session from a publisher of this holder."""

    def took_over(self, holder: str | None) -> None:
        """Note that the session is this publisher's now, and whose it was before, if anybody's."""

    def acked(self, acks: list[AckItem], weight: int) -> None:
        """Called when these events are durable, in the order they were sent; `weight` is their size in bytes."""

    def replied(self, replies: Sequence[AckItem | NackItem], weight: int) -> None:
        """Called when these events are acked or refused, in the order they were sent."""

    def completed(self, session: Session) -> None:
        """Called when the session has ended, as the publisher asked."""

    def session_ended(self, session: Session) -> None:
        """Called when the session has ended for any reason. Events are still accepted for the grace time."""

    def commanded(self, command: CommandPush) -> None:
        """Send the bot this command. It may be sent again until the bot has answered it."""

    def superseded(self) -> None:
        """Called when a newer publisher has the session."""

    def close(self, code: int, reason: str) -> None:
        """Close the publisher's connection."""


class Storing(Protocol):
    """The events that wait for the storage, over all sessions."""

    size: int
    """Bytes. While the number is above 0, somebody waits for an ack."""


class Audience(Protocol):
    """The watchers of one session."""

    def advanced(self, events: Sequence[Event], storing: Storing) -> None:
        """Called when the head has moved over these events, in the same step as the move, without an await in
        between."""

    def signalled(self, key: str, payload: JsonObject) -> None:
        """Called when the publisher has sent a signal."""

    def session_changed(self, session: Session) -> None:
        """Called when the session's status or another of its fields has changed, with the session as it is now."""

    def erased(self) -> None:
        """Called when the session has been erased. Nothing of it may be shown any more."""

    def rolled_back(self, last_seq: int) -> None:
        """Called when the log turns out to end with this seq. Some watchers may have seen events after it."""

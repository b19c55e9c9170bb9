"""Who a live session talks to: the publisher's seat, and all who watch. It knows them by these protocols alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from turnwire.protocol.control.messages import CommandPush
from turnwire.protocol.messages import AckItem, Event, JsonObject, NackItem, Session


class Sender(Protocol):
    """A publisher, as its session sees it."""

    epoch: int
    """The epoch its claim was given; 0 before."""
    finished: bool
    """Whether nothing more of what it sent is taken: it has completed its session, or is superseded."""
    holder: str
    """Who it is, for other gateways as well."""

    def may_take_from(self, holder: str) -> bool:
        """Whether this publisher may take the session from one of this holder."""

    def took_over(self, holder: str | None) -> None:
        """It has the session, which a publisher of this holder had before; None: nobody."""

    def acked(self, acks: list[AckItem], weight: int) -> None:
        """These events are durable, in the order they were sent; `weight` is their size in bytes."""

    def answered(self, replies: Sequence[AckItem | NackItem], weight: int) -> None:
        """These events are acked or refused, in the order they were sent."""

    def completed(self, session: Session) -> None:
        """The session has ended, as the publisher asked."""

    def session_ended(self, session: Session) -> None:
        """The session has ended. Whoever has ended it; it may send for the time of grace."""

    def commanded(self, command: CommandPush) -> None:
        """The bot is asked to do this. It may be asked again, until it has answered."""

    def superseded(self) -> None:
        """A newer publisher has the session."""

    def close(self, code: int, reason: str) -> None: ...


class Audience(Protocol):
    """All who watch one session."""

    def advanced(self, events: Sequence[Event]) -> None:
        """The head has moved over these events. Called in the same step, without an await."""

    def signalled(self, key: str, payload: JsonObject) -> None: ...

    def session_changed(self) -> None:
        """The session's status is new."""

    def erased(self) -> None:
        """The session is no more, and none of it may be shown any more."""

    def rolled_back(self, last_seq: int) -> None:
        """The log ends here, before what some who watch have seen."""

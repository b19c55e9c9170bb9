"""What a gateway hears of every session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import ErrorCode
from turnwire.protocol.messages import JsonObject, SessionStatus


class Observer(Protocol):
    """Called by sessions, on the path of an event: nothing here may wait."""

    def advanced(self, state: SessionState, durable: Durable) -> None:
        """The head has moved over these events."""

    def changed(self, state: SessionState, before: SessionStatus) -> None:
        """Fields of the record are new; `before` is the status it had."""

    def created(self, state: SessionState) -> None:
        """The session has been stored, and is in memory."""

    def claimed(self, state: SessionState) -> None:
        """A publisher here has been given a new epoch."""

    def signalled(self, state: SessionState, key: str, payload: JsonObject) -> None:
        """The session's publisher has sent a signal."""

    def attention_changed(self, state: SessionState) -> None:
        """What others bring into the session's log matters here now, or does no more: for its `commands`."""

    def unwritten(self, state: SessionState, *, status: bool = False) -> None:
        """The store lacks something of the record, or pages of the log; `status`: it lacks the status."""

    def written(self, state: SessionState) -> None:
        """The store has all fields of the record."""

    def amended(self, state: SessionState, *, ours: bool) -> None:
        """Metadata, language, figures or commands are new; `ours`: this gateway has just stored them."""

    def unread(self, state: SessionState) -> None:
        """The conversation has to be read from the log: its figures are not known otherwise."""

    def answered(self, duplicates: int, refused: Sequence[ErrorCode], seconds: float | None) -> None:
        """A round was answered: events stored before, why events were refused, and the time from receipt to ack of
        its first append, if a publisher sent that."""

    def rolled_back(self, state: SessionState) -> None:
        """The log has lost its end."""

    def taken_over(self) -> None:
        """A publisher has been replaced by a newer one."""

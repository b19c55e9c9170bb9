"""The observer: how a gateway is told what happens to its sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from turnwire.gateway.live.log.durable import Durable
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.errors import ErrorCode
from turnwire.protocol.messages import JsonObject, SessionStatus


class Observer(Protocol):
    """What live sessions report to their gateway. Called on the path of an event, so no method may block."""

    def advanced(self, state: SessionState, durable: Durable) -> None:
        """Called when the head has moved over these events."""

    def changed(self, state: SessionState, before: SessionStatus) -> None:
        """Called when fields of the record have changed; `before` is its previous status."""

    def created(self, state: SessionState) -> None:
        """Called when the session has been created in the store and is in memory."""

    def claimed(self, state: SessionState) -> None:
        """Called when the store has given a new epoch to a publisher here."""

    def ended(self, state: SessionState) -> None:
        """Called when this gateway has ended the session in the store: once for each session, over all gateways."""

    def signalled(self, state: SessionState, key: str, payload: JsonObject) -> None:
        """Called when the session's publisher has sent a signal."""

    def silenced(self, state: SessionState, epoch: int) -> None:
        """Called when the publisher of this epoch, which has sent signals, is gone, so that its unfinished utterances
        are over.
        """

    def attention_changed(self, state: SessionState) -> None:
        """Called when the session has opened or closed its list of commands (`state.commands`).

        While the list is open, this gateway must learn of events that other gateways store in the session.
        """

    def unwritten(self, state: SessionState) -> None:
        """Called when the store lacks fields of the record, or digests of the log."""

    def written(self, state: SessionState) -> None:
        """Called when the store has all fields of the record."""

    def amended(self, state: SessionState, *, ours: bool) -> None:
        """Called when metadata, language, figures or accepted commands have changed; `ours`: this gateway has just
        stored them."""

    def contested(self, state: SessionState) -> None:
        """Called when the store has a mark that this gateway loses the races for the log's next position."""

    def unread(self, state: SessionState) -> None:
        """Called when the conversation must be read from the log to know its figures."""

    def round_answered(self, duplicates: int, refused: Sequence[ErrorCode], seconds: float | None) -> None:
        """Called when a round of appends has been answered.

        `duplicates`: events that had been stored before. `refused`: the code of each refused event. `seconds`: from
        receipt to ack of the first append; None if a REST client has sent it.
        """

    def erased(self, state: SessionState, *, here: bool) -> None:
        """Called when the session has been erased. `here`: whether this gateway has erased it."""

    def rolled_back(self, state: SessionState) -> None:
        """Called when the log has lost events at its end."""

    def taken_over(self) -> None:
        """Called when a newer publisher has replaced one here."""

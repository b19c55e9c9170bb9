"""The context: what the steps of all sessions share."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context as TaskContext

from msgspec import Struct

from turnwire.gateway.live.observer import Observer
from turnwire.gateway.live.state import SessionState
from turnwire.protocol.messages import Limits
from turnwire.store.mongo import Store


class WaitingBytes(Struct):
    """Bytes of events that wait for the storage, over all sessions, and their limit `most`."""

    most: int
    size: int = 0

    @property
    def full(self) -> bool:
        return self.size >= self.most


def of_the_waker(_state: SessionState) -> TaskContext | None:
    """Have a session's task run in the context of whoever wakes it."""
    return None


class Context(Struct, frozen=True):
    """Everything the steps need besides the session itself. Times are in seconds."""

    store: Store
    clock: Callable[[], float]
    """The loop's clock."""
    limits: Limits
    ping_interval: float
    end_grace: float
    abandon_after: float
    expire_after: float
    """A session without an event for this long is ended, with or without a publisher; 0 means never."""
    max_session_events: int
    """Maximum number of events in one session; 0 means no limit."""
    shared_database: bool
    """Whether other gateways may use the database. If so, the store is asked before anything is decided or answered."""
    figures: bool
    """Whether figures of sessions are computed and stored."""
    waiting: WaitingBytes
    observer: Observer
    task_context: Callable[[SessionState], TaskContext | None] = of_the_waker
    """Returns the context in which the task of a session runs; called once for each session that enters memory."""

    @property
    def lapse_after(self) -> float:
        """How long a bot may be silent before the commands that it accepted are forgotten.

        Another gateway's publisher shows itself by a heartbeat. Without other gateways, memory knows every publisher.
        """
        return self.abandon_after / 2 if self.shared_database else 0.0

"""All open connections of a gateway: how many it takes, and whether it takes any."""

from __future__ import annotations

import asyncio
from typing import Literal, Protocol

from turnwire.gateway.connections.outbox import Outbox
from turnwire.protocol.errors import Overloaded

Kind = Literal["publisher", "subscriber"]


class OpenConnection(Protocol):
    """A WebSocket, as one of all."""

    kind: Kind
    closing: asyncio.Task[None] | None

    @property
    def outbox(self) -> Outbox: ...
    def check_alive(self, now: float) -> None: ...
    def judge_again(self) -> None: ...
    def goaway(self, reason: str, after: float) -> None:
        """Ask the client to come back after so many seconds."""

    def close(self, code: int, reason: str) -> None: ...
    def abort(self) -> None: ...


class Follower(Protocol):
    """A session followed over HTTP."""

    def check_alive(self, now: float) -> None:
        """End the answer when the credential has come to its end."""

    def judge_again(self) -> None:
        """End the answer when the credential does not allow it any more."""

    def end(self) -> None:
        """End the answer: the client reconnects."""


class OpenConnections:
    """Connections and followers enter and leave these sets themselves."""

    def __init__(self, most: int) -> None:
        self.connections: set[OpenConnection] = set()
        self.followers: set[Follower] = set()
        self.leaving = False
        """Whether the gateway is about to go away: it still serves, but is not ready for more."""
        self.draining = False
        """Whether the gateway is going away, and takes no frames and no connections any more."""
        self._most = most

    def check_capacity(self) -> None:
        """Raises Overloaded when no connection is taken."""
        if self.draining:
            raise Overloaded("the gateway is going away; reconnect")
        if len(self.connections) + len(self.followers) >= self._most:
            raise Overloaded(f"the gateway has its {self._most} connections; try again later")

    def count(self, kind: Kind) -> int:
        return sum(connection.kind == kind for connection in self.connections)

    @property
    def outbox_bytes(self) -> int:
        """Bytes waiting for WebSockets."""
        return sum(connection.outbox.size for connection in self.connections)

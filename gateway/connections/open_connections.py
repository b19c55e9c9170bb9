"""All open connections of a gateway, and whether it accepts more."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final, Literal, Protocol

from turnwire.protocol.errors import Overloaded

Kind = Literal["publisher", "subscriber"]

OUTBOX_LIMIT: Final = "all_outbox_bytes"
"""Name of the limit of the bytes that wait for slow readers, in the audit."""


class OpenConnection(Protocol):
    """An open WebSocket."""

    kind: Kind
    closing: asyncio.Future[None] | None

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait for the other side to read."""

    @property
    def is_owed(self) -> bool:
        """Whether the client waits for answers to what it has sent."""

    look_at: float
    """The time at which `check_alive` has something to do."""

    def check_alive(self, now: float) -> None: ...
    def judge_again(self) -> None: ...
    def goaway(self, reason: str, after: float) -> None:
        """Ask the client to come back after this many seconds."""

    def close(self, code: int, reason: str) -> None: ...
    def shed(self) -> None:
        """Close because too much waits for slow readers, this one among them, and audit that."""

    def abort(self) -> None:
        """Abort the transport, if there is one."""


class Follower(Protocol):
    """A session followed over HTTP."""

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait for the client to read."""

    def check_alive(self, now: float) -> None:
        """End the answer if the credential has expired."""

    def judge_again(self) -> None:
        """End the answer if the credential no longer allows it."""

    def end(self) -> None:
        """End the answer. The client reconnects."""

    def shed(self) -> None:
        """End the answer because too much waits for slow readers, this one among them, and audit that."""


class SendingAnswer(Protocol):
    """A large answer over HTTP that is being sent."""

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait for the client to read."""

    def check_alive(self, now: float) -> None:
        """End the answer if the client has stopped reading."""

    def shed(self) -> None:
        """Cut the answer off because too much waits for slow readers, this one among them, and audit that."""


class OpenConnections:
    """The open connections, HTTP followers and large answers, which add and remove themselves."""

    def __init__(self) -> None:
        self.connections: set[OpenConnection] = set()
        """Changed by `came` and `left`."""
        self._kinds: Counter[Kind] = Counter()
        self.followers: set[Follower] = set()
        self.answers: set[SendingAnswer] = set()
        self.bytes_seen = 0
        """`waiting_bytes` when all were last looked at, a second ago at most."""
        self.leaving = False
        """Whether the gateway is about to drain: it still serves, but reports that it is not ready."""
        self.draining = False
        """Whether the gateway is draining: it accepts no frames and no connections."""

    def check_draining(self) -> None:
        """Raise Overloaded if the gateway accepts no connection any more."""
        if self.draining:
            raise Overloaded("the gateway is going away; reconnect", limit=None)

    def came(self, connection: OpenConnection) -> None:
        self.connections.add(connection)
        self._kinds[connection.kind] += 1

    def left(self, connection: OpenConnection) -> None:
        if connection in self.connections:
            self.connections.discard(connection)
            self._kinds[connection.kind] -= 1

    def count(self, kind: Kind) -> int:
        return self._kinds[kind]

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait for readers, of WebSockets, of streams and of large answers. Looks at all of them."""
        readers = (self.connections, self.followers, self.answers)
        return sum(reader.waiting_bytes for kind in readers for reader in kind)

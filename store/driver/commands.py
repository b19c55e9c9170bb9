"""Write commands for the driver without its sessions and its search for a server. No files but this one,
`held_connection.py` and `requests.py` use private names of the driver.

The driver is pinned to a minor release; `tests/store/test_driver_names.py` fails if one of the names changes.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

import pymongo
from bson.errors import InvalidBSON
from pymongo.server_selectors import writable_server_selector
from pymongo.server_type import SERVER_TYPE

from turnwire.store.driver.held_connection import Answer, Document, HeldConnection, can_be_held, resolve, unreadable

_LOOK_SECONDS: Final = 0.5
"""Seconds between two looks at the held connections, as often as the driver looks whether a command is cancelled. A
connection that has had no command in between is given back."""
_LOOKS: Final = 20
"""The looks in a command's time, if these are more."""


class WriteCommands:
    """Runs write commands on one database, each once.

    The driver would lend each command a session, which serves only its own retries, and look for a server among all
    that it knows. Here the primary is kept for as long as the driver considers it the primary and nothing fails. The
    driver handles errors as usual: it closes connections, and looks for another primary. Of several routers, each
    command gets the one that the driver picks.

    A first command runs in a thread of the driver. Its connection is then held for the next ones, where that is
    possible, for as long as they keep coming. After an error, the next command runs in a thread again. Belongs to the
    event loop in which it was made.
    """

    __slots__ = (
        "_client", "_closed", "_database", "_held", "_idle", "_look", "_loop", "_most", "_on_loss", "_run_in_thread",
        "_server",
    )  # fmt: skip

    def __init__(
        self,
        client: pymongo.MongoClient[Document],
        database: str,
        run_in_thread: Callable[..., asyncio.Future[Any]],
        *,
        most_held: int = 1,
        on_loss: Callable[[], None] = lambda: None,
    ) -> None:
        """`run_in_thread(function, *args)` runs a function in a thread of the driver. At most `most_held` connections
        are held, and at most half of those that the driver may have. `on_loss` is called when a held connection ends
        without a command, and so without an error."""
        self._client = client
        self._database = database
        self._run_in_thread = run_in_thread
        self._on_loss = on_loss
        self._server: Any = None
        """The primary that took the last command; None to look for one."""
        self._loop = asyncio.get_running_loop()
        allowed = client.options.pool_options.max_pool_size
        self._most = min(most_held, allowed // 2) if allowed else most_held
        self._held: set[HeldConnection] = set()
        self._idle: list[HeldConnection] = []
        """The held connections without a command. The last one had one last."""
        self._look: asyncio.TimerHandle | None = None
        self._closed = False

    def __call__(self, command: Document) -> asyncio.Future[Document]:
        """Run a command, within the time limit of the client. Return the reply.

        Raises PyMongoError. Errors of single writes are in the reply. Raises BSONError, DocumentTooLarge,
        OverflowError, TypeError or ValueError for what BSON cannot hold.
        """
        done: asyncio.Future[Document] = self._loop.create_future()
        if self.at_once(command, partial(resolve, done)):
            return done
        return self._run_in_thread(self._run, command, len(self._held) < self._most)

    def at_once(self, command: Document, answer: Answer) -> bool:
        """Send a command on a held connection that is free. Return False if there is none.

        `answer` is called later with the reply, or with the PyMongoError that a call would raise, or with
        CancelledError after a stop. Raises what a call raises of what BSON cannot hold.
        """
        while self._idle:
            held = self._idle[-1]
            if held.is_usable:
                held.run(command, answer)
                if held.is_busy:
                    self._idle.pop()
                return True
            self._give_back(held)
        return False

    # In a thread

    def _run(self, command: Document, hold: bool) -> Document:
        with pymongo.timeout(self._client.options.timeout):
            try:
                return self._run_on(self._primary(), command, hold)
            except BaseException:
                self._server = None
                raise

    def _primary(self) -> Any:
        """Return the server that takes writes. Raises PyMongoError if there is none."""
        server = self._server
        if server is None or not server.description.is_writable:
            server = self._client._select_server(writable_server_selector, None, "insert")
            self._server = None if server.description.server_type == SERVER_TYPE.Mongos else server
        return server

    def _run_on(self, server: Any, command: Document, hold: bool) -> Document:
        with ExitStack() as checkout:
            connection = checkout.enter_context(self._client._checkout(server, None))
            try:
                reply: Document = connection.command(self._database, command, client=self._client)
            except (InvalidBSON, LookupError, struct.error) as error:
                raise unreadable(error) from error
            if hold and can_be_held(server, connection):
                kept = checkout.pop_all()
                try:
                    self._loop.call_soon_threadsafe(self._hold, server, connection, kept)
                except RuntimeError:  # the loop is closed
                    kept.close()
        return reply

    # In the loop

    def _hold(self, server: Any, connection: Any, checkout: ExitStack) -> None:
        """Hold a connection that has just had a command, if there is still room."""
        if self._closed or len(self._held) >= self._most:
            checkout.close()
            return
        held = HeldConnection(
            self, self._client, self._database, server=server, connection=connection, checkout=checkout
        )
        self._held.add(held)
        self._idle.append(held)
        if self._look is None:
            self._look_later()

    def free(self, held: HeldConnection) -> None:
        self._idle.append(held)

    def lost(self, held: HeldConnection, error: BaseException) -> asyncio.Future[None]:
        self._server = None
        self._forget(held)
        return self._run_in_thread(held.checkout.__exit__, type(error), error, error.__traceback__)

    def ended(self, held: HeldConnection) -> None:
        self._give_back(held)
        self._on_loss()

    def _forget(self, held: HeldConnection) -> None:
        self._held.discard(held)
        if held in self._idle:
            self._idle.remove(held)

    def _give_back(self, held: HeldConnection) -> None:
        """Give back a connection without a command."""
        self._forget(held)
        held.detach()
        held.checkout.close()

    def _look_later(self) -> None:
        seconds = self._client.options.timeout
        pause = min(_LOOK_SECONDS, seconds / _LOOKS) if seconds else _LOOK_SECONDS
        self._look = self._loop.call_later(pause, self._look_at_all)

    def _look_at_all(self) -> None:
        self._look = None
        for held in list(self._held):
            if held.is_busy:
                held.look(self._loop.time())
            elif held.used:
                held.used = False
            else:
                self._give_back(held)
        if self._held:
            self._look_later()

    def close(self) -> None:
        """Give all connections back, and break off commands under way."""
        self._closed = True
        for held in list(self._held):
            held.break_off()
            self._give_back(held)
        if self._look is not None:
            self._look.cancel()

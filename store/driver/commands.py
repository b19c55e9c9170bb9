"""A write command for the driver without its session and its search for a server. No other file uses private names of
the driver.

The driver is pinned to a minor release; `tests/store/test_driver_commands.py` fails if one of the names changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pymongo
from pymongo.server_selectors import writable_server_selector
from pymongo.server_type import SERVER_TYPE

Document = dict[str, Any]


class WriteCommands:
    """Runs write commands on one database, each once, in a thread of the driver. Takes half of the thread's time that
    the public `command` takes.

    The driver would lend each command a session, which serves only its own retries, and look for a server among all
    that it knows. Here the primary is kept for as long as the driver takes it for one and nothing fails. What the
    driver makes of an error stays the same: it closes connections, and looks for another primary. Of several routers,
    each command gets the one that the driver picks.
    """

    __slots__ = ("_client", "_database", "_run_in_thread", "_server")

    def __init__(
        self,
        client: pymongo.MongoClient[Document],
        database: str,
        run_in_thread: Callable[..., asyncio.Future[Document]],
    ) -> None:
        """`run_in_thread(function, *args)` runs a function in a thread of the driver."""
        self._client = client
        self._database = database
        self._run_in_thread = run_in_thread
        self._server: Any = None
        """The primary that took the last command; None to look for one."""

    def __call__(self, command: Document) -> asyncio.Future[Document]:
        """Run a command, within the time limit of the client. Return the reply.

        Raises PyMongoError. Errors of single writes are in the reply. Raises BSONError, DocumentTooLarge,
        OverflowError, TypeError or ValueError for what BSON cannot hold.
        """
        return self._run_in_thread(self._run, command)

    def _run(self, command: Document) -> Document:
        with pymongo.timeout(self._client.options.timeout):
            try:
                return self._run_on(self._primary(), command)
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

    def _run_on(self, server: Any, command: Document) -> Document:
        with self._client._checkout(server, None) as connection:
            return connection.command(self._database, command, client=self._client)

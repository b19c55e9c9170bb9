"""A connection of the driver on which the event loop itself sends commands and receives replies."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final, Protocol

import pymongo
from pymongo import helpers_shared, message
from pymongo.errors import NotPrimaryError, OperationFailure, ProtocolError, PyMongoError, _OperationCancelled
from pymongo.server_type import SERVER_TYPE

from turnwire.store.driver.replies import PlainReplies
from turnwire.store.driver.requests import RequestEncoder

Document = dict[str, Any]
Answer = Callable[[Document | None, BaseException | None], None]
"""Called once with the reply to a command, or with an error."""

_HEAD: Final = struct.Struct("<iiii")
_OP_MSG: Final[int] = message._OpMsg.OP_CODE
_RECEIVED_AT_ONCE: Final = 16 * 1024
_SENT_AT_ONCE: Final = 256 * 1024
"""Bytes that the socket gets in one step of the loop, which takes a tenth of a millisecond."""
_NOTHING: Final = memoryview(b"")
_SERVERS: Final = (SERVER_TYPE.RSPrimary, SERVER_TYPE.Standalone)


def can_be_held(server: Any, connection: Any) -> bool:
    """Return whether a `HeldConnection` does on this connection all that the driver does: without TLS, compression, a
    choice of routers, new logins in between, and listeners to commands."""
    credentials, listeners = connection.opts._credentials, connection.listeners
    return (
        type(connection.conn.get_conn) is socket.socket
        and connection.compression_context is None
        and server.description.server_type in _SERVERS
        and (credentials is None or credentials.mechanism != "MONGODB-OIDC")
        and not (listeners is not None and listeners.enabled_for_commands)
    )


def unreadable(cause: Exception) -> ProtocolError:
    """Return what to raise for a reply that cannot be decoded. The cause would blame the documents that were sent."""
    return ProtocolError(f"Got a reply that cannot be read: {cause!r}")


class Keeper(Protocol):
    """Whoever keeps held connections. Called in the loop's thread."""

    def free(self, held: HeldConnection) -> None:
        """Note that the connection has no command under way."""

    def ended(self, held: HeldConnection) -> None:
        """Give back the connection, which is closed. It had no command under way."""

    def lost(self, held: HeldConnection, error: BaseException) -> asyncio.Future[None]:
        """Give the connection back, with an error for the driver to judge. Return when that is done."""


class HeldConnection:
    """A connection that is checked out of the driver's pool, with one command under way at most. Owned by the loop.

    With a thread that waits for the reply, a command that comes alone costs twice the CPU: the loop wakes the thread,
    the thread wakes the loop, and both wait for Python's lock. What is sent, how replies and errors are judged, and the
    time that a command may take stay the driver's.
    """

    __slots__ = (
        "_answer", "_connection", "_deadline", "_descriptor", "_driver", "_keeper", "_loop", "_received",
        "_replies", "_request", "_requests", "_server", "_socket", "_unsent", "checkout", "used",
    )  # fmt: skip

    def __init__(
        self,
        keeper: Keeper,
        driver: pymongo.MongoClient[Document],
        database: str,
        *,
        server: Any,
        connection: Any,
        checkout: ExitStack,
    ) -> None:
        self._keeper = keeper
        self._driver = driver
        self._requests = RequestEncoder(driver, connection, database)
        self._replies = PlainReplies()
        self._server = server
        self._connection = connection
        self.checkout = checkout
        """Gives the connection back to its pool."""
        self.used = True
        """Whether it has had a command since this was last set to False."""
        self._loop = asyncio.get_running_loop()
        self._answer: Answer | None = None
        """Whom to answer for the command under way."""
        self._deadline: float | None = None
        """When the command under way has taken too long, on the loop's clock."""
        self._request = 0
        self._unsent = _NOTHING
        self._received = bytearray()
        """What has arrived of a reply."""
        connection.set_conn_timeout(0.0)  # the socket never blocks
        self._socket: socket.socket = connection.conn.get_conn
        self._descriptor = self._socket.fileno()
        self._loop.add_reader(self._descriptor, self._readable)

    @property
    def is_usable(self) -> bool:
        """Whether the driver would still pick this connection for a write."""
        connection = self._connection
        stale: bool = connection.pool_gen.stale(connection.generation, connection.service_id)
        return self._server.description.is_writable and not stale

    @property
    def is_busy(self) -> bool:
        return self._answer is not None

    def run(self, command: Document, answer: Answer) -> None:
        """Send a command. There must be none under way.

        Raises at once what the encoder raises. Later, `answer` gets the reply, or what the driver's
        `Connection.command` raises, or CancelledError after `break_off`.
        """
        self._request, encoded = self._requests.encode(command)
        seconds = self._requests.limit or self._connection.opts.socket_timeout  # 0 means no limit
        self._deadline = self._loop.time() + seconds if seconds else None
        self.used = True
        self._answer = answer
        self._send(memoryview(encoded))

    def _send(self, left: memoryview) -> None:
        try:
            sent = self._socket.send(left[:_SENT_AT_ONCE])
            if sent == len(left) and not self._unsent:
                return
            left = left[sent:]
        except BlockingIOError:
            pass  # the socket has no room
        except OSError as error:
            self._break(error)
            return
        if left and not self._unsent:
            self._loop.add_writer(self._descriptor, self._send_rest)
        elif self._unsent and not left:
            self._loop.remove_writer(self._descriptor)
        self._unsent = left or _NOTHING  # what is sent is freed

    def _send_rest(self) -> None:
        self._send(self._unsent)

    def _readable(self) -> None:
        try:
            part = self._socket.recv(_RECEIVED_AT_ONCE)
        except BlockingIOError:
            return
        except OSError as error:
            self._break(error)
            return
        received = self._received
        received += part
        try:
            if not self._is_whole(received, ended=not part):
                return
            self._received = bytearray()
            reply = self._take(received)
        except (OSError, PyMongoError) as error:
            self._break(error)
        except Exception as error:
            self._break(unreadable(error))
        else:
            if reply is not None:
                self._finish(reply)

    def _is_whole(self, received: bytearray, *, ended: bool) -> bool:
        """Return whether this is a whole reply. Raises OSError or ProtocolError if it never will be."""
        if ended:
            raise OSError("connection closed")
        if self._answer is None or self._unsent:
            raise ProtocolError("Got a reply to no command")
        if len(received) < _HEAD.size:
            return False
        length, _, request, code = _HEAD.unpack_from(received)
        if request != self._request or code != _OP_MSG:
            raise ProtocolError(f"Got a message {code!r} in reply to {request!r} but expected one to {self._request!r}")
        size = len(received)
        if size > length or not _HEAD.size <= length <= self._connection.max_message_size:
            raise ProtocolError(f"Message length ({length!r}) is not that of a reply")
        return bool(size == length)

    def _take(self, reply: bytearray) -> Document | None:
        """Return the document of a reply; None if it is an error, which ends the connection. Raises what the decoder
        raises."""
        sections = reply[_HEAD.size :]
        known = self._replies.find(sections)
        if known is not None:
            return known
        [document] = message._OpMsg.unpack(memoryview(sections)).unpack_response()
        self._driver._process_response(document, None)
        try:
            helpers_shared._check_command_response(document, self._connection.max_wire_version)
        except (OperationFailure, NotPrimaryError) as error:
            self._end(error)
            return None
        self._replies.keep(sections, document)
        return document

    def _finish(self, reply: Document) -> None:
        answer, self._answer = self._answer, None
        self._keeper.free(self)
        if answer is not None:
            answer(reply, None)

    def look(self, now: float) -> None:
        """Break off a command that the driver has cancelled, or that has taken too long."""
        if self._connection.cancel_context.cancelled:
            self._break(_OperationCancelled("operation cancelled"))
        elif self._deadline is not None and now > self._deadline:
            under_way = self._answer
            self._readable()  # the loop may have stood still
            if self._answer is under_way is not None:
                self._break(TimeoutError("timed out"))

    def _break(self, error: Exception) -> None:
        """Close the connection after a failure that says nothing about the outcome of a command.

        Of a connection that ends without a command, the driver concludes nothing: the next command finds out.
        """
        self.detach()
        if self._answer is None:
            self._connection.close_conn(None)
            self._keeper.ended(self)
            return
        try:
            self._connection._raise_connection_failure(error)
        except Exception as failure:
            self._end(failure)

    def _end(self, error: BaseException) -> None:
        """Give the connection back with an error, and fail the command with it once the driver has judged it."""
        self.detach()
        answer, self._answer = self._answer, None
        judged = self._keeper.lost(self, error)
        if answer is not None:
            judged.add_done_callback(lambda _: answer(None, error))

    def break_off(self) -> None:
        """Close the connection, and cancel the command under way if there is one. Its outcome stays unknown."""
        answer, self._answer = self._answer, None
        if answer is not None:
            self.detach()
            self._connection.close_conn(None)
            answer(None, asyncio.CancelledError())

    def detach(self) -> None:
        """Leave the socket to the driver."""
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        self._connection.set_conn_timeout(self._connection.opts.socket_timeout)


def resolve(done: asyncio.Future[Document], reply: Document | None, error: BaseException | None) -> None:
    """Answer with a future."""
    if done.done():
        return
    if reply is not None:
        done.set_result(reply)
    elif error is None or isinstance(error, asyncio.CancelledError):
        done.cancel()
    else:
        done.set_exception(error)

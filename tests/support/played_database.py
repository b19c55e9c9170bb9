"""A database that a test plays: the driver's real pool and connections, over pairs of sockets in this process."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import bson
import pymongo
from pymongo.network_layer import NetworkingInterface
from pymongo.server_type import SERVER_TYPE
from pymongo.synchronous.pool import Connection, Pool

from turnwire.store.driver.commands import WriteCommands

Document = dict[str, Any]
_ADDRESS = ("played", 27017)
_HEAD = struct.Struct("<iiiiIB")
"""Length, id, id of the request, code, flags, kind of the only section."""


class PlayedEnd:
    """The database's end of one connection."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._received = b""
        self.requests: list[tuple[int, Document]] = []
        """The requests without a reply so far: id, and the first document."""
        self.replying: bytes = b""
        """What is left to send of a reply."""
        self.open = True

    def receive(self) -> None:
        try:
            while part := self._end.recv(1 << 20):
                self._received += part
        except BlockingIOError:
            pass  # nothing more for now
        except OSError:
            self.open = False
        while len(self._received) > 4 and len(self._received) >= (length := _length(self._received)):
            self.requests.append(_request(self._received[:length]))
            self._received = self._received[length:]

    def send(self, part: bytes) -> None:
        try:
            self._end.sendall(part)
        except OSError:
            self.open = False

    def reply(self, document: Document, **head: int) -> None:
        """Answer the oldest request."""
        self.receive()
        request, _ = self.requests.pop(0)
        self.send(message_of(document, **{"to": request, **head}))

    def close(self) -> None:
        self.open = False
        self._end.close()


class PlayedDatabase:
    """A primary, as a client of the driver sees it. Commands in threads end at once, without a message."""

    def __init__(self, **options: Any) -> None:
        self.client: pymongo.MongoClient[Document] = pymongo.MongoClient("mongodb://played", connect=False, **options)
        self.pool = Pool(_ADDRESS, self.client.options.pool_options)
        self.pool.ready()
        self.pool.connect = self._connect  # type: ignore[method-assign]  # no network
        self.ends: list[PlayedEnd] = []
        self.judged: list[BaseException] = []
        """The errors that the driver has been asked to judge."""
        self.description = SimpleNamespace(address=_ADDRESS, is_writable=True, server_type=SERVER_TYPE.RSPrimary)
        """What the driver knows of the server."""
        server = SimpleNamespace(pool=self.pool, description=self.description)
        self.client._select_server = lambda *_: server  # type: ignore[method-assign,assignment]  # no search
        self.client._topology.handle_error = self._judge  # type: ignore[method-assign,assignment]  # noted
        self.jobs: list[tuple[asyncio.Future[Any], Callable[[], Any]]] = []
        """What waits for a thread."""
        self.fault_in_thread: Exception | None = None
        """What the driver raises instead of a reply to a command in a thread."""
        self.losses: list[None] = []
        """One for each connection that has ended without a command."""
        self.commands = WriteCommands(
            self.client, "played", self._run_in_thread, most_held=2, on_loss=lambda: self.losses.append(None)
        )

    def _connect(self, handler: object = None) -> Connection:
        ours, its = socket.socketpair()
        self.ends.append(PlayedEnd(its))
        connection = Connection(NetworkingInterface(ours), self.pool, _ADDRESS, len(self.ends), is_sdam=False)
        connection.ready = True
        connection.command = self._command  # type: ignore[method-assign]  # played
        self.pool.active_contexts.add(connection.cancel_context)
        return connection

    def _command(self, *_: object, **__: object) -> Document:
        if self.fault_in_thread is not None:
            raise self.fault_in_thread
        return {"ok": 1.0, "in_thread": True}

    def _judge(self, _address: object, context: Any) -> None:
        self.judged.append(context.error)

    def _run_in_thread(self, run: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        done = asyncio.get_running_loop().create_future()
        self.jobs.append((done, lambda: run(*args)))
        return done

    def run_a_job(self) -> None:
        """Run the oldest of the jobs, as if a thread came to it now."""
        done, job = self.jobs.pop(0)
        try:
            result = job()
        except Exception as error:
            done.set_exception(error)
        else:
            if not done.done():
                done.set_result(result)

    async def hold(self) -> PlayedEnd:
        """Have a connection held, and return the database's end of it."""
        first = self.commands(insert(0))
        self.run_a_job()
        await first
        await asyncio.sleep(0)
        return self.ends[-1]

    async def settle(self) -> None:
        """Let the event loop see all that was sent, and run all jobs."""
        for _ in range(4):
            await asyncio.sleep(0)
            while self.jobs:
                self.run_a_job()

    def close(self) -> None:
        self.commands.close()
        self.pool.close()
        for end in self.ends:
            end.close()


def insert(name: int, **more: object) -> Document:
    return {"insert": "things", "documents": [{"_id": name, **more}], "ordered": True}


def message_of(document: Document, *, to: int, code: int = 2013, flags: int = 0, length: int | None = None) -> bytes:
    """Return a reply to the request with the id `to`, with a head that may say something else."""
    body = bson.encode(document)
    return _HEAD.pack(_HEAD.size + len(body) if length is None else length, 7, to, code, flags, 0) + body


def _length(message: bytes) -> int:
    return int.from_bytes(message[:4], "little")


def _request(message: bytes) -> tuple[int, Document]:
    """Return its id, and the documents of its first section."""
    _, request, _, _, _, kind = _HEAD.unpack_from(message)
    assert kind == 0
    length = _length(message[_HEAD.size :])
    head: Document = bson.decode(message[_HEAD.size : _HEAD.size + length])
    sequence = message[_HEAD.size + length + 1 :]
    head["documents"] = bson.decode_all(sequence[4 + len(b"documents\0") :])
    return request, head

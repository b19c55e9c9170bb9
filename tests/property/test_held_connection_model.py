"""In whatever order commands, replies, errors and troubles come: each command ends once, and each connection is given
back once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from pymongo.errors import PyMongoError

from tests.property.wire_values import search
from tests.support.failpoints import NOT_PRIMARY
from tests.support.played_database import Document, PlayedDatabase, PlayedEnd, insert, message_of

Runs = Callable[[Coroutine[Any, Any, None]], None]

_STEPS = (
    *["command"] * 8, *["job"] * 3, *["pass"] * 3, *["reply"] * 12, *["piece"] * 3, *["cancel"] * 2, *["look"] * 2,
    "look late", "error", "not primary", "nonsense", "close", "reset", "interrupt",
)  # fmt: skip
steps = st.binary(min_size=20, max_size=60).map(
    lambda taken: [(_STEPS[byte % len(_STEPS)], byte // len(_STEPS)) for byte in taken]
)
"""What happens, and to which of the commands or connections, or how much of it (0 to 6)."""


class Play:
    def __init__(self) -> None:
        self.database = PlayedDatabase(timeoutMS=10_000)
        self.commands: list[asyncio.Future[Document]] = []
        self.answered: set[int] = set()
        """The commands that the database has answered without an error."""
        self.descriptors: set[int] = set()
        self.faults: list[dict[str, Any]] = []
        """What the event loop complains about."""

    async def play(self, steps: list[tuple[str, int]]) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.faults.append(context))
        await self.database.hold()
        for step, number in steps:
            await self._step(step, number)
            self._check()
        await self.database.settle()
        self._check()
        assert sum(not command.done() for command in self.commands) <= sum(map(_is_asked, self.database.ends))
        self.commands.append(self.database.commands(insert(len(self.commands))))
        self.database.commands.close()
        await self.database.settle()
        self._check_end()
        self.database.close()

    async def _step(self, step: str, number: int) -> None:
        """Take a step, after a pass of the event loop in half of the cases."""
        database = self.database
        if number % 2:
            await asyncio.sleep(0)
        if step == "command":
            self.commands.append(database.commands(insert(len(self.commands))))
        elif step == "job" and database.jobs:
            database.run_a_job()
        elif step == "pass":
            await asyncio.sleep(0)
        elif step == "cancel" and self.commands:
            self.commands[number % len(self.commands)].cancel()
        elif step == "reset":
            database.pool.reset_without_pause()
        elif step == "interrupt":
            database.pool._reset(close=False, pause=False, interrupt_connections=True)
        elif step.startswith("look"):
            self._look(late=step == "look late")
        elif ends := [end for end in database.ends if end.open]:
            self._answer(ends[number % len(ends)], step, number)

    def _look(self, *, late: bool) -> None:
        commands = self.database.commands
        for held in commands._held if late else ():
            held._deadline = 0.0
        if commands._look is not None:
            commands._look.cancel()
            commands._look_at_all()

    def _answer(self, end: PlayedEnd, step: str, number: int) -> None:
        """Send something on this connection, or close it."""
        if step == "close":
            end.close()
        elif step == "nonsense":
            end.send(bytes(number + 1))
        elif end.open and not end.replying:
            end.receive()
            if end.requests:
                end.replying = self._reply_to(*end.requests.pop(0), step)
        part = len(end.replying) if step == "reply" else number
        end.send(end.replying[:part])
        end.replying = end.replying[part:]

    def _reply_to(self, request: int, command: Document, step: str) -> bytes:
        name = command["documents"][0]["_id"]
        if step in ("error", "not primary"):
            return message_of({"ok": 0, "errmsg": step, "code": 50 if step == "error" else NOT_PRIMARY}, to=request)
        self.answered.add(name)
        return message_of({"ok": 1.0, "n": name}, to=request)

    def _check(self) -> None:
        assert not self.faults
        for held in self.database.commands._held:
            self.descriptors.add(held._descriptor)
            assert held.is_busy != (held in self.database.commands._idle)
        for end in self.database.ends:
            if end.open:
                end.receive()
            assert len(end.requests) + bool(end.replying) <= 1, "two commands at a time"
        for name, command in enumerate(self.commands):
            if command.done() and not command.cancelled():
                self._check_outcome(name, command)

    def _check_outcome(self, name: int, command: asyncio.Future[Document]) -> None:
        error = command.exception()
        if error is not None:
            assert isinstance(error, PyMongoError)
        elif "in_thread" not in command.result():
            assert command.result()["n"] == name
            assert name in self.answered

    def _check_end(self) -> None:
        loop, pool = asyncio.get_running_loop(), self.database.pool
        assert not self.faults
        assert all(command.done() for command in self.commands)
        assert (pool.requests, pool.active_sockets, pool.operation_count) == (0, 0, 0)
        assert not pool.active_contexts
        assert not any(loop.remove_reader(each) or loop.remove_writer(each) for each in self.descriptors)


def _is_asked(end: PlayedEnd) -> bool:
    return end.open and bool(end.requests or end.replying)


@pytest.fixture(scope="module")
def run() -> Iterator[Runs]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner.run


@search(60)
@given(steps)
def test_each_command_ends_once_and_each_connection_is_given_back_once(run: Runs, steps: list[tuple[str, int]]) -> None:
    async def play() -> None:
        await Play().play(steps)

    run(play())

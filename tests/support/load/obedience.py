"""What a publisher under load does as a bot: it carries out commands through the client library's own code."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from random import Random

from tests.support.history import Attendance, CommandBegun, History, content_of
from turnwire.errors import CommandRefused
from turnwire.protocol.control.messages import Accept, CommandPush, CommandResult
from turnwire.protocol.messages import Opened
from turnwire.protocol.times import parse_time
from turnwire.publishing.commands import Commands

COMMAND = "whisper"


class Obedience:
    """The commands of one bot process, over all its connections. Everything that it carries out is recorded in the
    history."""

    def __init__(self, name: str, history: History, random: Random, wake: Callable[[], None], *, obeys: bool) -> None:
        """`wake` is called when there is something to send. A bot that does not obey says nothing, and gets no
        commands."""
        self._name = name
        self._history = history
        self._random = random
        self._attendance: Attendance | None = None
        self._commands = Commands(wake)
        self._obeys = obeys
        if obeys:
            self._commands.handle(self._carry_out, [COMMAND])

    def connected(self, opened: Opened) -> None:
        if self._obeys:
            self._attendance = Attendance(time.time())
            self._history.attended.append(self._attendance)
        self._commands.connected(opened)

    def disconnected(self) -> None:
        if self._attendance is not None:
            self._attendance.until = time.time()
            self._attendance = None

    def received(self, command: CommandPush) -> None:
        self._commands.received(command)

    def next_message(self) -> Accept | CommandResult | None:
        return self._commands.next_message()

    def close(self) -> None:
        self._commands.close()

    async def _carry_out(self, command: CommandPush) -> str:
        content = content_of(command.command, command.payload)
        expires_at = parse_time(command.expires_at).timestamp()  # by the gateway's clock, which is this machine's
        self._history.begun.append(CommandBegun(self._name, command.command_id, content, time.time(), expires_at))
        await asyncio.sleep(self._random.uniform(0, 0.3))
        if self._random.random() < 0.2:
            raise CommandRefused("not now")
        return "said"

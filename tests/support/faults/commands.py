"""A bot and supervisors in the one-process world: commands are requested anywhere, and carried out once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from tests.support.faults.clients import Bot, Socket
from tests.support.faults.world import World
from tests.support.history import Attendance, CommandAsked, CommandBegun, content_of
from turnwire.errors import CommandRefused
from turnwire.gateway.live.items import AcceptItem, OutcomeItem
from turnwire.gateway.live.live_session import LiveSession
from turnwire.protocol.control.commands import Command, Outcome
from turnwire.protocol.control.messages import Accept, CommandPush
from turnwire.protocol.errors import ErrorCode, TurnwireError
from turnwire.protocol.messages import JsonObject, Opened
from turnwire.protocol.times import parse_time
from turnwire.publishing.commands import Commands

_COMMAND = "whisper"
_TTL_SECONDS = (0.2, 25.0)


class Butler(Bot):
    """Carries out commands as the client library does, through the library's own code. Stays for as long as any
    supervisor asks."""

    def __init__(self, world: World, name: str, session_id: str, count: int) -> None:
        super().__init__(world, name, session_id, count)
        self._line: tuple[LiveSession, Socket] | None = None
        self._commands = Commands(self._say, world.now)
        self._commands.handle(self._carry_out, [_COMMAND])

    def goes_on(self) -> bool:
        return bool(self.pending or self.world.supervisors)

    def connected(self, live: LiveSession, socket: Socket, opened: Opened) -> None:
        self._line = live, socket
        attendance = Attendance(self.world.now().timestamp())
        self.history.attended.append(attendance)

        def left() -> None:
            attendance.until = self.world.now().timestamp()

        socket.at_cut.append(left)
        socket.at_command = lambda command: self._on_its_way(socket, command)
        self._commands.connected(opened)
        self._say()

    def _on_its_way(self, socket: Socket, command: CommandPush) -> None:
        def arrive() -> None:
            if not socket.gone:
                self._commands.received(command)

        asyncio.get_running_loop().call_later(self.world.random.uniform(0, 0.1), arrive)

    async def _carry_out(self, command: CommandPush) -> str:
        now, expires_at = self.world.now().timestamp(), parse_time(command.expires_at).timestamp()
        content = content_of(command.command, command.payload)
        self.history.begun.append(CommandBegun(self.name, command.command_id, content, now, expires_at))
        await self.world.pause(0.5)
        if self.world.random.random() < 0.2:
            raise CommandRefused("not now")
        return "said"

    def _say(self) -> None:
        """Send what is to be reported on a connection, which may be lost before the report arrives."""
        if self._line is None or self._line[1].gone:
            return
        live, socket = self._line
        while (message := self._commands.next_message()) is not None:
            if isinstance(message, Accept):
                live.submit(AcceptItem(socket, message.commands))
            else:
                live.submit(OutcomeItem(socket, Outcome(message.command_id, message.state, message.message)))

    async def leave(self, live: LiveSession, socket: Socket) -> None:
        while self.world.supervisors and not socket.gone:
            await self.world.pause(0.5)
            if self.world.random.random() < 0.05 and not self.world.calm:
                return


class Supervisor:
    """Requests commands at any gateway, each repeatedly until it has ended. Other supervisors request the same ones."""

    def __init__(self, world: World, session_id: str, count: int) -> None:
        self.world = world
        self.history = world.histories[session_id]
        self._count = count
        world.supervisors += 1

    async def run(self) -> None:
        try:
            for number in range(self._count):
                await self._settle(f"c{number}", {"text": f"hint {number}"})
                await self.world.pause(1.0)
        finally:
            self.world.supervisors -= 1

    async def _settle(self, command_id: str, payload: JsonObject) -> None:
        expires_at = self.world.now() + timedelta(seconds=self.world.random.uniform(*_TTL_SECONDS))
        asked = CommandAsked(command_id, content_of(_COMMAND, payload), expires_at.timestamp())
        self.history.asked.append(asked)
        while True:
            command = Command(command_id, _COMMAND, payload, None, expires_at)
            try:
                outcome = await self._ask(command)
            except TurnwireError as error:
                if not error.retryable and error.code != ErrorCode.NOT_ACCEPTED:
                    return
            else:
                asked.answered_at = asked.answered_at or self.world.now().timestamp()
                asked.settled |= outcome.final and outcome.state != "expired"
                if outcome.final:
                    return
            await self.world.pause(0.5)

    async def _ask(self, command: Command) -> Outcome:
        return (await self.world.gateway().parts.requests.command(self.history.session_id, command)).outcome

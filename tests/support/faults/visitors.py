"""More clients of the one-process world: readers, clients that end sessions, and silent publishers."""

from __future__ import annotations

import asyncio

from tests.support.faults.clients import Bot, Caller, Socket
from tests.support.faults.world import CONFIG, World
from turnwire.gateway.live.items import EndItem
from turnwire.gateway.live.live_session import LiveSession
from turnwire.protocol.errors import TurnwireError


class Visitor:
    """Reads a session by REST at any gateway. It must see what was acked or ended before its request."""

    def __init__(self, world: World, session_id: str, count: int) -> None:
        self.world = world
        self.session_id = session_id
        self.count = count

    async def run(self) -> None:
        for _ in range(self.count):
            await self.world.pause(2.0)
            await self._read()

    async def _read(self) -> None:
        promises, session_id = self.world.promises, self.session_id
        requests = self.world.gateway().parts.requests
        known, end = promises.answered[session_id], promises.ended.get(session_id)
        try:
            if self.world.random.random() < 0.7:
                session, how = (await requests.view(session_id)).session, "a read"
            else:
                session, _ = await requests.create(
                    session_id=session_id, language="en", metadata={}, status="initiated"
                )
                how = "a creation"
        except TurnwireError:
            return
        promises.read(session, known, end, how)


class Ender(Caller):
    """Appends by REST, ends the session, as others may at the same time, and goes on appending."""

    async def run(self) -> None:
        await super().run()
        while not await self._end():
            await self.world.pause(0.5)
        await self.world.pause(2 * CONFIG.end_grace)
        await super().run()

    async def _end(self) -> bool:
        session_id, promises = self.history.session_id, self.world.promises
        known = promises.answered[session_id]
        reason = f"ender{self.world.random.randint(0, 9)}"
        try:
            session, now = await self.world.gateway().parts.requests.complete(session_id, "completed", reason)
        except TurnwireError:
            return False
        promises.enders[session_id] += now
        promises.read(session, known, session, "an end")
        return True


class Leaver(Bot):
    """Completes its session once all of its events are answered."""

    async def leave(self, live: LiveSession, socket: Socket) -> None:
        live.submit(EndItem("completed", "left", publisher=socket))
        socket.changed.clear()
        await socket.changed.wait()


class Idler(Bot):
    """Falls silent halfway, for longer than it takes to abandon a session."""

    async def between(self) -> None:
        if len(self.pending) == self._count // 2:
            await asyncio.sleep(CONFIG.abandon_after * 1.6)

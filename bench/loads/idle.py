"""Silent connections: the memory of each, and the CPU time of all."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from bench.meter import Figures, Meter, Target, resident_bytes
from bench.wire import Socket

_AT_ONCE = 100


class Idle(Struct, frozen=True, kw_only=True, tag=True):
    """A load of silent connections. `steps` are their rising numbers. With `publish`, each publishes a session."""

    target: Target
    prefix: str
    steps: list[int]
    publish: bool = False
    seconds: float = 3.0

    async def run(self) -> Figures:
        """Return, for each step, resident bytes per connection, CPU per connect, and CPU per second of silence."""
        sockets: list[Socket] = []
        await self._connect(sockets, _AT_ONCE)  # the first connections also allocate memory that later ones share
        base = resident_bytes(self.target.server)
        figures: Figures = {}
        for step in self.steps:
            connecting, silent, before = Meter(self.target), Meter(self.target), len(sockets)
            connecting.start()
            await self._connect(sockets, step + _AT_ONCE)
            connecting.stop()
            silent.start()
            await asyncio.sleep(self.seconds)
            silent.stop()
            figures |= {
                f"bytes_{step}": (resident_bytes(self.target.server) - base) / step,
                f"connect_us_{step}": connecting.per(len(sockets) - before, "connections")["server_us"],
                f"silent_us_per_s_{step}": silent.per(self.seconds, "seconds")["server_us"],
            }
        for socket in sockets:
            socket.close()
        return figures

    async def _connect(self, sockets: list[Socket], wanted: int) -> None:
        while len(sockets) < wanted:
            numbers = range(len(sockets), min(len(sockets) + _AT_ONCE, wanted))
            sockets += await asyncio.gather(
                *(Socket.connect(self.target.address, self._path(number), _ignore) for number in numbers)
            )

    def _path(self, number: int) -> str:
        return f"/sessions/{self.prefix}-{number}/publish?language=en" if self.publish else "/subscribe"


def _ignore(payload: bytes) -> None:
    pass

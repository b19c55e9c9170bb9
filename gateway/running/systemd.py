"""Tells systemd that a process is ready, stopping, or alive. Without systemd, it tells nobody.

The protocol is that of sd_notify(3): one datagram for each state. All that is needed here fits into a dozen lines.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, closing
from typing import Final, Never, Self

_PATIENCE: Final = 0.5
"""Seconds that systemd has to take a datagram. The event loop waits meanwhile."""
_PINGS_IN_TIME: Final = 3
"""How many pings are sent in the time in which systemd expects one."""
_EXTENSION: Final = 60.0
"""How many more seconds a starting process asks for. They must suffice for the rest of the start, which takes a few."""
_ASK_AGAIN: Final = 10.0
"""The pause between two such requests, in seconds."""

_log = logging.getLogger("turnwire.gateway")


class Systemd:
    """The socket on which systemd listens, if it has started this process."""

    def __init__(self, address: str | None, watchdog: float | None) -> None:
        """`address`: a path, or a name after `@`; None tells nobody. `watchdog`: the seconds within which systemd
        expects a ping; None sends none."""
        self._address = address
        self._watchdog = watchdog

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] = os.environ) -> Self:
        """Return the systemd that the environment names, and remove it from there, because it does not wait for child
        processes."""
        address = environment.pop("NOTIFY_SOCKET", None)
        microseconds = environment.pop("WATCHDOG_USEC", "")
        asked = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watched = address is not None and asked and microseconds.isdigit()
        return cls(address, int(microseconds) / 1e6 if watched else None)

    def ready(self) -> None:
        self._tell("READY=1")

    @asynccontextmanager
    async def taking_long(self) -> AsyncGenerator[None]:
        """Have systemd wait beyond its timeout during the block, for as long as the event loop runs."""
        asking = asyncio.create_task(self._ask_for_time(), name="more time from systemd")
        try:
            yield
        finally:
            asking.cancel()

    async def _ask_for_time(self) -> Never:
        while True:
            self._tell(f"EXTEND_TIMEOUT_USEC={_EXTENSION * 1e6:.0f}")
            await asyncio.sleep(_ASK_AGAIN)

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    async def keep_alive(self, is_well: Callable[[], Awaitable[bool]]) -> None:
        """Ping for as long as the event loop runs and `is_well` says so. Return at once if no ping is expected."""
        if self._watchdog:
            await self._ping(self._watchdog / _PINGS_IN_TIME, is_well)

    async def _ping(self, pause: float, is_well: Callable[[], Awaitable[bool]]) -> Never:
        while True:
            if await is_well():
                self._tell("WATCHDOG=1")
            else:
                _log.error("systemd is not told that this process is alive, and restarts it")
            await asyncio.sleep(pause)

    def _tell(self, state: str) -> None:
        if self._address is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sender:
                sender.settimeout(_PATIENCE)
                sender.sendto(state.encode(), address)
        except OSError as error:
            _log.warning("could not tell systemd %s: %s", state, error)

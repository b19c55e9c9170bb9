"""Looks up the addresses of names that others choose, such as the hosts of webhooks."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Any, Final

from aiohttp.abc import ResolveResult

from turnwire.gateway.aiohttp_client_private import Resolver

_MOST: Final = 64
"""The most lookups at once. Each is a thread that waits for a name server, which may take half a minute."""
_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class Names:
    """Looks up each name in a daemon thread of its own.

    The event loop's own lookups share two threads, which end before the process does: a name server that does not
    answer for one name held up all other names, and the exit.
    """

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(_MOST)

    @property
    def resolver(self) -> Resolver:
        """The same for a client of aiohttp."""
        return Resolver(self.look_up)

    async def look_up(self, host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
        """Return the addresses of a name. Raises OSError (gaierror), and UnicodeError if no host can have the name."""
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[ResolveResult]] = loop.create_future()

        def answer(result: list[ResolveResult] | Exception) -> None:
            self._places.release()
            if found.done():  # nobody waits any more
                return
            if isinstance(result, Exception):
                found.set_exception(result)
            else:
                found.set_result(result)

        def ask() -> None:
            result: list[ResolveResult] | Exception
            try:
                result = _addresses(host, port, family)
            except (OSError, UnicodeError) as error:
                result = error
            with suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(answer, result)

        threading.Thread(target=ask, name=f"look up {host}", daemon=True).start()
        return await found


def _addresses(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    """Return the addresses of a name. Blocks. Raises as `Names.look_up`."""
    infos = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(hostname=host, host=_host_in(address), port=port, family=found, proto=proto, flags=_NUMERIC)
        for found, _, proto, _, address in infos
    ]


def _host_in(address: tuple[Any, ...]) -> str:
    """Return the address in a socket's address, with the zone of a link-local one."""
    host = str(address[0])
    return f"{host}%{address[3]}" if len(address) > 3 and address[3] and "%" not in host else host

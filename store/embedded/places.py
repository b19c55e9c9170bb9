"""Where the embedded database listens."""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
from typing import Final

HOST: Final = "127.0.0.1"
_PORTS: Final = range(20_000, 32_000)
_KNOCK_SECONDS: Final = 0.005


def free_port(host: str) -> int | None:
    """Return a free port below the range of outgoing connections, so that it is still free for a restart; None without
    one.

    Raises OSError.
    """
    for _ in range(1000):
        port = secrets.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return port
    return None


def refuses(host: str, port: int) -> bool:
    """Return whether nothing listens on this port of this machine.

    Costs a tenth of a connection of the event loop, and waits for the kernel alone, a few milliseconds at most.
    """
    with socket.socket() as probe:
        probe.settimeout(_KNOCK_SECONDS)
        return probe.connect_ex((host, port)) == errno.ECONNREFUSED


async def knock(host: str, port: int) -> None:
    """Open a connection and close it again."""
    try:
        async with asyncio.timeout(1.0):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return
    writer.close()

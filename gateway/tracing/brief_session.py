"""The HTTP session that spans are sent with."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_MOST_BYTES: Final = 64 * 1024
"""The longest body that is read, so that its connection can be used again."""
_LONGEST_SECONDS: Final = 10.0
"""The longest time for a request and its answer, if the exporter names none."""
_Connected = Callable[[socket.socket], None]


class BriefSession(requests.Session):
    """Reads little of the answers, for as long as the request's timeout says. Treats a redirect as a failure, and knows
    why the last request has failed. Sends one request at a time.

    The exporter needs only the status, but `requests` reads every answer to its end, however long it is. The exporter
    does not follow redirects, and treats them as success. The timeout of `requests` begins anew with each byte.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fault = ""
        """Why the last request has failed; empty if it has not. Has no part of a URL, which may hold a secret."""
        self._socket: socket.socket | None = None
        """The socket of the newest connection."""
        self._is_late = False
        """Whether the newest request was cut off."""
        self.mount("http://", _Adapter(self._connected))
        self.mount("https://", _Adapter(self._connected))

    def _connected(self, sock: socket.socket) -> None:
        self._socket = sock

    def _cut_off(self) -> None:
        """End the request under way. Called in another thread."""
        self._is_late = True
        if self._socket is not None:
            with suppress(OSError):  # it is closed already
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # one of TLS would forget its state

    def request(self, *args: Any, **options: Any) -> requests.Response:
        """Send a request. Raises RequestException, also for a redirect."""
        timeout = options.get("timeout")
        timer = threading.Timer(timeout if isinstance(timeout, int | float) else _LONGEST_SECONDS, self._cut_off)
        timer.daemon, self._is_late = True, False
        timer.start()
        try:
            answer = super().request(*args, **options | {"stream": True})
            _read_little(answer)
        except requests.RequestException as error:
            self.fault = type(error).__name__
            raise
        finally:
            timer.cancel()
        if self._is_late:  # the end of a connection also ends a head
            self.fault = "no answer in time"
            raise requests.Timeout(self.fault)
        self.fault = "" if answer.ok else f"it answered {answer.status_code}"
        if 300 <= answer.status_code < 400:
            self.fault = f"it answered {answer.status_code}; redirects are not followed"
            raise requests.RequestException(self.fault)
        return answer


def _read_little(answer: requests.Response) -> None:
    """Read the body if it is known to be short. Otherwise, close the connection."""
    length = answer.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and int(length) <= _MOST_BYTES:
        _ = answer.content
    else:
        answer.close()


class _Adapter(HTTPAdapter):
    """Tells of each new connection."""

    def __init__(self, connected: _Connected) -> None:
        self._connected = connected
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        pools: dict[str, Any] = {
            "http": partial(_pool, HTTPConnectionPool, HTTPConnection, self._connected),
            "https": partial(_pool, HTTPSConnectionPool, HTTPSConnection, self._connected),
        }
        self.poolmanager.pool_classes_by_scheme = pools


def _pool(
    pool_class: type[HTTPConnectionPool],
    connection_class: type[HTTPConnection],
    connected: _Connected,
    /,
    *args: Any,
    **options: Any,
) -> HTTPConnectionPool:
    """Return a pool of connections that tell of their sockets."""

    def connect(connection: HTTPConnection) -> None:
        connection_class.connect(connection)
        connected(connection.sock)

    pool = pool_class(*args, **options)
    pool.ConnectionCls = type("_Connection", (connection_class,), {"connect": connect})
    return pool

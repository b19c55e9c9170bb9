"""Sends messages to endpoints over HTTP, to public addresses only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import aiohttp
from aiohttp import hdrs
from yarl import URL

from turnwire.gateway.aiohttp_client_private import BriefConnector, TooMuch
from turnwire.gateway.clock import utc_now
from turnwire.gateway.names import Names
from turnwire.gateway.turns import Turns
from turnwire.gateway.webhooks.addresses import guarded_sockets
from turnwire.gateway.webhooks.messages import Message
from turnwire.gateway.webhooks.secrets import signed
from turnwire.gateway.webhooks.sending import NotTaken
from turnwire.version import __version__

GONE: Final = 410
"""The status with which an endpoint refuses all further messages."""
_ASKING: Final = (429, 503)
"""The statuses with which an endpoint may ask for a pause."""
_MOST_CONNECTIONS: Final = 128
_SEND_SECONDS: Final = 0.001
"""What a message takes of the loop's time. When hundreds are due, a few of them begin in each pass."""
_CLIENT: Final = "webhooks"
"""As whom all messages wait for their turn."""
_HEADERS: Final[dict[str, str]] = {
    hdrs.CONTENT_TYPE: "application/json",
    hdrs.USER_AGENT: f"Turnwire/{__version__}",
    hdrs.ACCEPT_ENCODING: "identity",
}


class Courier:
    """Owns the connections to endpoints. Makes none before the first message."""

    def __init__(self, turns: Turns, *, timeout: float, allow_private: bool) -> None:
        """`timeout`: seconds within which an endpoint must answer. `allow_private`: whether private addresses may be
        used."""
        self._turns = turns
        self._timeout = timeout
        self._allow_private = allow_private
        self._http: aiohttp.ClientSession | None = None

    async def send(self, url: str, message: Message, secrets: Sequence[str]) -> None:
        """Send a message with one signature for each of these secrets. Return once the endpoint has taken it. Raises
        NotTaken."""
        await self._turns.next(_SEND_SECONDS, _CLIENT)
        headers = _HEADERS | signed(message, secrets, utc_now())
        try:
            async with self._client().post(
                URL(url), data=message.body, headers=headers, allow_redirects=False
            ) as answer:
                if not 200 <= answer.status < 300:
                    raise _refusal(answer)
        except TimeoutError:
            raise NotTaken(f"no answer within {self._timeout:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotTaken(_why(error)) from None

    def _client(self) -> aiohttp.ClientSession:
        """Return the client. It ignores cookies, and the environment's proxies and credentials."""
        if self._http is None:
            connector = BriefConnector(
                limit=_MOST_CONNECTIONS,
                resolver=Names().resolver,
                socket_factory=guarded_sockets(allow_private=self._allow_private),
            )
            self._http = aiohttp.ClientSession(
                auto_decompress=False,
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._timeout),
            )
        return self._http

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()


def _refusal(answer: aiohttp.ClientResponse) -> NotTaken:
    if 300 <= answer.status < 400:
        return NotTaken(f"it answered {answer.status}; redirects are not followed")
    asked = answer.headers.get(hdrs.RETRY_AFTER, "") if answer.status in _ASKING else ""
    seconds = float(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 0.0
    return NotTaken(f"it answered {answer.status}", asked=seconds, gone=answer.status == GONE)


def _why(error: Exception) -> str:
    """Return why no answer came."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect: {error.os_error.strerror or error.os_error}"
    if isinstance(error, TooMuch):
        return str(error)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection without an answer"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"its answer is not HTTP: {error.message.partition(':')[0].lower()}"
    return f"{type(error).__name__}: {error}".strip(": ")

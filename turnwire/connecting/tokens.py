"""The token of a client: a string, or a function that returns a fresh one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

from turnwire.errors import TokenError

Token = str | Callable[[], str | Awaitable[str]]
"""A token, or a function, plain or async, that returns one. The function is called for every connection."""

TIMEOUT = 10.0
"""Maximum number of seconds that a token function may take."""


class TokenSource:
    """The source of one client's tokens. Raises ValueError for an invalid token."""

    def __init__(self, token: Token | None) -> None:
        if token is not None and not callable(token):
            check_token(token)
        self._token = token

    @property
    def can_renew(self) -> bool:
        """Whether the source may give another token."""
        return callable(self._token)

    @property
    def is_fixed(self) -> bool:
        """Whether the source gives the same token for ever."""
        return isinstance(self._token, str)

    async def headers(self) -> dict[str, str]:
        """Return the headers for a request. Raises TokenError if the function fails."""
        token = await self.fresh()
        return {} if token is None else {"Authorization": f"Bearer {token}"}

    async def fresh(self) -> str | None:
        """Return a fresh token; None for a client without tokens. Raises TokenError if the function fails."""
        if not callable(self._token):
            return self._token
        try:
            async with asyncio.timeout(TIMEOUT):
                return check_token(await _called(self._token))
        except TimeoutError:
            raise TokenError(f"the token function did not return within {TIMEOUT:g} s") from None
        except Exception as error:
            raise TokenError(f"the token function failed: {type(error).__name__}: {error}") from error


async def _called(function: Callable[[], str | Awaitable[str]]) -> str:
    """Return what the function returns. A plain one is called in a thread: it may ask a server, and must not hold up
    the caller's loop meanwhile.
    """
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
    given = function() if is_async else await asyncio.to_thread(function)
    return await given if isinstance(given, Awaitable) else given


def check_token(token: object) -> str:
    """Return the token, or raise ValueError without quoting it: it is a secret."""
    if not isinstance(token, str):
        raise ValueError(f"a token must be a string, not {type(token).__name__}")
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("a token must consist of visible ASCII characters, without spaces and line breaks")
    return token

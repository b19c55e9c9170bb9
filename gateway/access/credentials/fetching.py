"""Fetches a key set by HTTPS."""

from __future__ import annotations

from typing import Final

import aiohttp

from turnwire.gateway.names import Names

MAX_BYTES: Final = 64 * 1024
"""Maximum number of bytes in a key set."""

_TIMEOUT = aiohttp.ClientTimeout(total=5)


async def fetch(url: str) -> bytes:
    """Return the content at the URL. Raises OSError for any answer but 200, for more than MAX_BYTES, and after 5 s."""
    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=Names().resolver),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=_TIMEOUT,
            ) as client,
            client.get(url, allow_redirects=False, headers={"Accept": "application/json"}) as answer,
        ):
            if answer.status != 200:
                raise OSError(f"the server answered {answer.status}")
            content = bytearray()
            async for chunk in answer.content.iter_chunked(MAX_BYTES):
                content += chunk
                if len(content) > MAX_BYTES:
                    raise OSError(f"the answer has more than {MAX_BYTES} bytes")
            return bytes(content)
    except TimeoutError:
        raise OSError("no answer within 5 s") from None
    except (aiohttp.ClientError, ValueError) as error:
        raise OSError(f"{type(error).__name__}: {error}") from None

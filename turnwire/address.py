"""The URLs of a gateway's resources, built from its base URL without changing a byte of it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from yarl import URL

_HTTP = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_WEBSOCKET = {"http": "ws", "https": "wss"}


class Address:
    """The base URL of a gateway: `http://localhost:3000`, `wss://example.com` or `https://example.com/voice/`.

    Raises ValueError for anything else.
    """

    def __init__(self, url: str) -> None:
        try:
            base = URL(url)
        except TypeError:  # None, for example, from an environment without the variable
            raise ValueError(f"{url!r} is not the URL of a gateway, such as http://localhost:3000") from None
        except ValueError as error:
            raise ValueError(f"{url!r} is not a URL: {error}") from None
        if base.scheme not in _HTTP or not base.host:
            raise ValueError(f"{url!r} is not the URL of a gateway, such as http://localhost:3000")
        if base.query_string or base.fragment:
            raise ValueError(f"{url!r}: the URL of a gateway has no query and no fragment")
        self._scheme = _HTTP[base.scheme]
        self.origin = str(base.with_scheme(self._scheme).origin())
        """The scheme, host and port, for display: without user name and password."""
        path = base.raw_path.rstrip("/")
        self.shown = self.origin + path
        """The base URL, for display: without user name and password."""
        self._rest = f"://{base.raw_authority}{path}"

    def __str__(self) -> str:
        return self._scheme + self._rest

    def http(self, *segments: str, query: Sequence[tuple[str, str]] = ()) -> URL:
        """Return the URL of a resource: `sessions`, a sessionId, …, each percent-encoded.

        A sessionId that a proxy might read as several segments, or as none, goes into the query.
        """
        return self._url(self._scheme, segments, query)

    def websocket(self, *segments: str, query: Sequence[tuple[str, str]] = ()) -> URL:
        return self._url(_WEBSOCKET[self._scheme], segments, query)

    def _url(self, scheme: str, segments: Sequence[str], query: Sequence[tuple[str, str]]) -> URL:
        if len(segments) > 1 and segments[0] == "sessions" and _is_fragile(segments[1]):
            query = [("sessionId", segments[1]), *query]
            segments = ("sessions", "-", *segments[2:])
        path = "".join(f"/{quote(segment, safe='')}" for segment in segments)
        search = f"?{urlencode(query)}" if query else ""
        return URL(f"{scheme}{self._rest}{path}{search}", encoded=True)


def _is_fragile(session_id: str) -> bool:
    """Return whether proxies and URL parsers may change the id in a path: they decode it, and remove dots."""
    return session_id in (".", "..") or any(each in session_id for each in "/\\%")

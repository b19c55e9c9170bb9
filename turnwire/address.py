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
        """Return the URL of a resource. Each segment is percent-encoded, slashes included."""
        return self._url(self._scheme, segments, query)

    def websocket(self, *segments: str, query: Sequence[tuple[str, str]] = ()) -> URL:
        return self._url(_WEBSOCKET[self._scheme], segments, query)

    def _url(self, scheme: str, segments: Sequence[str], query: Sequence[tuple[str, str]]) -> URL:
        path = "".join(f"/{_encoded(segment)}" for segment in segments)
        search = f"?{urlencode(query)}" if query else ""
        return URL(f"{scheme}{self._rest}{path}{search}", encoded=True)


def _encoded(segment: str) -> str:
    if segment in (".", ".."):  # URL parsers remove these from a path
        return segment.replace(".", "%2E")
    return quote(segment, safe="")

"""The parts of a request that the door checks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from turnwire.gateway.access.refusals import Refusal, bad_request, unauthenticated

BEARER_PROTOCOL: Final = "turnwire.bearer."
"""Prefix of the subprotocol that carries a token: a browser's WebSocket cannot set Authorization."""
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/=-]+)", re.IGNORECASE)
_TOKEN_NAMES: Final = frozenset(
    {"token", "access_token", "auth", "authorization", "bearer", "key", "api_key", "apikey", "api-key", "jwt"}
)
_TOKEN_VALUE: Final = re.compile(r"tw_.+_[A-Za-z0-9]{32,}|eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\..*")
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Asked(Struct, frozen=True, kw_only=True):
    """The parts of a request that the door checks. Header values are in the order received."""

    method: str
    path: str
    """The path without its query."""
    hosts: Sequence[str]
    peer: str
    """The socket's address; empty for a UNIX socket."""
    origins: Sequence[str] = ()
    fetch_site: str | None = None
    """`Sec-Fetch-Site`."""
    forwarded: Sequence[str] = ()
    """`X-Forwarded-For`."""
    authorizations: Sequence[str] = ()
    protocols: Sequence[str] = ()
    """`Sec-WebSocket-Protocol`."""
    query: Sequence[tuple[str, str]] = ()
    is_upgrade: bool = False
    is_handshake: bool = False
    """Whether it is an upgrade on the path of a WebSocket. Any other is served as a request, and counted as one."""

    @property
    def is_safe(self) -> bool:
        """Whether the request changes nothing. False for a handshake: what its socket carries may."""
        return self.method in _SAFE_METHODS and not self.is_upgrade


def check_query(asked: Asked) -> None:
    """Raise Refusal (400) for a credential in the query: URLs are logged, stored and shown."""
    for name, value in asked.query:
        if name.lower() in _TOKEN_NAMES or _TOKEN_VALUE.fullmatch(value):
            raise bad_request("token_in_query", "a credential must not be in the URL: send it as Authorization: Bearer")


def credential_of(asked: Asked) -> str | None:
    """Return the request's credential; None without one. Raises Refusal: 401 if malformed, 400 for more than one."""
    given = [_bearer(value) for value in asked.authorizations]
    if asked.is_upgrade:
        offered = [word.strip() for value in asked.protocols for word in value.split(",")]
        given += [word.removeprefix(BEARER_PROTOCOL) for word in offered if word.startswith(BEARER_PROTOCOL)]
    if len(given) > 1:
        raise bad_request("two_credentials", "a request must have at most one credential")
    return given[0] if given else None


def _bearer(value: str) -> str:
    found = _BEARER.fullmatch(value.strip())
    if found is None:
        raise _not_bearer()
    return found[1]


def _not_bearer() -> Refusal:
    return unauthenticated("not_bearer", "Authorization must be Bearer with an API key or a token")

"""Mints tokens, for browsers for example: `POST /tokens`. A token never has more rights than its minter."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Annotated, Final

from msgspec import Meta

from turnwire.gateway.access.credentials.secret import JwtSecret
from turnwire.gateway.access.principals import Principal
from turnwire.gateway.access.refusals import forbidden
from turnwire.protocol.errors import InvalidMessage
from turnwire.protocol.messages import Shape
from turnwire.protocol.rights import Scope, check_patterns, is_within, parse_scope
from turnwire.protocol.shape import OrNull

MAX_TTL: Final = 3600
DEFAULT_TTL: Final = 600
_MAX_SUB_CHARS: Final = 256


class MintRequest(Shape):
    """The body of `POST /tokens`. `ttl` is in seconds."""

    sub: Annotated[str, Meta(min_length=1, max_length=_MAX_SUB_CHARS)]
    scope: str
    sessions: list[str]
    ttl: OrNull[Annotated[int, Meta(ge=1, le=MAX_TTL)]] = DEFAULT_TTL

    def __post_init__(self) -> None:
        self.ttl = self.ttl or DEFAULT_TTL


class Minted(Shape):
    """A minted token. `expires_at` is in seconds since 1970."""

    token: str
    expires_at: float
    jti: str


class Minting:
    """Mints tokens signed with the gateway's own secret."""

    def __init__(
        self, secret: JwtSecret | None, issuer: str | None, audience: str | None, clock: Callable[[], float]
    ) -> None:
        """`clock` returns seconds since 1970. Without `secret`, no token is minted; a JWKS does not replace it."""
        self._secret = secret
        self._issuer = issuer
        self._audience = audience
        self._clock = clock

    def mint(self, minter: Principal, asked: MintRequest) -> Minted:
        """Return a token that expires no later than its minter.

        Raises Refusal (403) for rights that the minter does not have, and InvalidMessage for an invalid request.
        """
        minter.require(Scope.MINT)
        if self._secret is None:
            raise forbidden(
                "no_secret", "this gateway has no secret to sign tokens with; set TURNWIRE_JWT_SECRET_FILE to mint here"
            )
        import jwt  # noqa: PLC0415 -- takes 40 ms; most gateways have no secret

        from turnwire.gateway.access.credentials.tokens import MAX_BYTES  # noqa: PLC0415 -- imports jwt

        scopes = _checked_scope(asked)
        _check_rights(minter, scopes, asked.sessions)
        now = self._clock()
        expires_at = now + asked.ttl if minter.expires_at is None else min(now + asked.ttl, minter.expires_at)
        jti = uuid.uuid4().hex
        claims = {
            "sub": asked.sub,
            "exp": int(expires_at),
            "iat": int(now),
            "jti": jti,
            "scope": " ".join(sorted(scopes)),
            "sessions": asked.sessions,
            "by": [minter.id, *minter.marks],
            **({} if minter.issued_at is None else {"since": minter.issued_at}),
            **({} if self._issuer is None else {"iss": self._issuer}),
            **({} if self._audience is None else {"aud": self._audience}),
        }
        token = jwt.encode(claims, self._secret.value, algorithm="HS256")
        if len(token) > MAX_BYTES:
            raise InvalidMessage(f"the token would have {len(token)} bytes, over the limit of {MAX_BYTES}")
        return Minted(token, float(int(expires_at)), jti)


def _checked_scope(asked: MintRequest) -> frozenset[Scope]:
    try:
        check_patterns(asked.sessions)
        return parse_scope(asked.scope)
    except ValueError as error:
        raise InvalidMessage(str(error)) from None


def _check_rights(minter: Principal, scopes: frozenset[Scope], sessions: Sequence[str]) -> None:
    if minter.is_admin:
        return
    beyond = sorted(scopes - minter.scopes)
    if beyond:
        raise forbidden("mint_scope", f"a token has at most the scopes of its minter, which lacks {beyond[0]}")
    if not all(is_within(pattern, minter.sessions) for pattern in sessions):
        raise forbidden("mint_sessions", "a token has at most the sessions of its minter")

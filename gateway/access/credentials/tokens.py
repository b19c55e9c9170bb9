"""Tokens: JWTs with HS256 and the gateway's secret, or with RS256, ES256 or EdDSA and the keys of a JWKS.

A token does not choose how it is verified: its `kid` selects a key, and each key has a single algorithm.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any, Final

import jwt
import msgspec
from jwt import PyJWK

from turnwire.gateway.access.credentials.jwks import JwksError, KeySource
from turnwire.gateway.access.credentials.secret import JwtSecret
from turnwire.gateway.access.principals import Principal
from turnwire.gateway.access.refusals import Refusal, cannot_judge, unauthenticated
from turnwire.protocol.rights import MAX_PATTERNS, known_scopes

MAX_BYTES: Final = 4096
LEEWAY: Final = 30.0
"""Seconds by which the clocks of issuer and gateway may differ."""
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_MAX_SUB_CHARS: Final = 256
_MAX_TIME: Final = 253_402_300_800
"""The end of the year 9999."""
_REQUIRED: Final = ("exp", "sub")
_SAID: Final[Mapping[type[Exception], tuple[str, str]]] = {
    jwt.ExpiredSignatureError: ("token_expired", "the token has expired: get a new one"),
    jwt.ImmatureSignatureError: ("token_early", "the token is not valid yet: its nbf or iat is in the future"),
    jwt.InvalidIssuerError: ("token_issuer", "the token's iss is not the one this gateway requires"),
    jwt.InvalidAudienceError: ("token_audience", "the token's aud is not the one this gateway requires"),
    jwt.MissingRequiredClaimError: ("token_claims", "the token must have exp and sub, and iss and aud if required"),
}


class _Head(msgspec.Struct):
    """The part of a token's head that selects the key. PyJWT reads the rest."""

    kid: str | None = None
    crit: Any = msgspec.UNSET


_decoder = msgspec.json.Decoder(_Head)


class Claims(msgspec.Struct):
    """The claims that the gateway uses. It sets `by` and `since` on tokens that it mints."""

    sub: str
    exp: float
    iat: float | None = None
    jti: str | None = None
    scope: str = ""
    sessions: list[str] = []
    by: list[str] = []
    """The minter's id, then the marks by which it may be revoked."""
    since: float | None = None
    """When the earliest of its minters was issued, in seconds since 1970."""


class Tokens:
    """Verifies tokens. Only the source's `find` may wait, for a key set."""

    def __init__(
        self, secret: JwtSecret | None, source: KeySource | None, issuer: str | None, audience: str | None
    ) -> None:
        self._secret = None if secret is None else PyJWK(_as_jwk(secret), "HS256")
        self._source = source
        self._issuer = issuer
        self._audience = audience

    async def authenticate(self, token: str) -> Principal:
        """Return the principal of a token. Raises Refusal: 401, or 503 if the keys are not available."""
        if len(token) > MAX_BYTES or not _SHAPE.fullmatch(token):
            raise _malformed()
        kid = _kid_of(token)
        key = await self._key(kid)
        if key is None:
            raise unauthenticated("token_key", "the token is signed with a key that this gateway does not know")
        claims = self._verified(token, key)
        return principal_of(claims, is_ours=key is self._secret)

    async def _key(self, kid: str | None) -> PyJWK | None:
        if kid is None and self._secret is not None:
            return self._secret
        if self._source is None:
            return None
        try:
            return await self._source.find(kid)
        except JwksError as error:
            raise cannot_judge("no_keys", f"{error}; try again") from None

    def _verified(self, token: str, key: PyJWK) -> Claims:
        try:
            payload = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY,
                options={"require": list(_REQUIRED)},
            )
        except jwt.PyJWTError as error:
            raise _refusal(error) from None
        except (ValueError, TypeError, ArithmeticError, RecursionError):
            raise _malformed() from None
        try:
            claims = msgspec.convert(payload, Claims)
        except msgspec.MsgspecError:
            raise _wrong_claims() from None
        _check(claims)
        return claims


def _kid_of(token: str) -> str | None:
    """Return the `kid` in the token's head; None without one. Raises Refusal if the head is malformed or has `crit`."""
    encoded = token.partition(".")[0]
    try:
        head = _decoder.decode(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise _malformed() from None
    if head.crit is not msgspec.UNSET:
        raise unauthenticated("token_crit", "the token has a crit, which this gateway does not support")
    if head.kid is not None and not 1 <= len(head.kid) <= _MAX_SUB_CHARS:
        raise _malformed()
    return head.kid


def _check(claims: Claims) -> None:
    """Check what PyJWT does not. Raises Refusal."""
    times = (claims.exp, claims.iat, claims.since)
    if not 1 <= len(claims.sub) <= _MAX_SUB_CHARS or len(claims.sessions) > MAX_PATTERNS:
        raise _wrong_claims()
    if not all(time is None or 0 <= time < _MAX_TIME for time in times):
        raise _wrong_claims()
    try:
        "".join((claims.sub, claims.jti or "", *claims.sessions, *claims.by)).encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell
        raise _wrong_claims() from None


def principal_of(claims: Claims, *, is_ours: bool) -> Principal:
    """Return the principal of verified claims. `is_ours`: the gateway's own secret signed them, so trust `by`."""
    by = claims.by if is_ours else []
    name = f"sub:{claims.sub.replace('%', '%25').replace('/', '%2F')}"
    own = [f"sub:{claims.sub}", *([f"jti:{claims.jti}"] if claims.jti else [])]
    issued = [time for time in (claims.iat, claims.since if is_ours else None) if time is not None]
    return Principal(
        id=f"minted:{by[0]}/{name}" if by else name,
        scopes=known_scopes(claims.scope),
        sessions=tuple(claims.sessions),
        expires_at=claims.exp,
        marks=(*own, *by[1:]),
        issued_at=min(issued, default=None),
    )


def _refusal(error: jwt.PyJWTError) -> Refusal:
    for kind, (reason, message) in _SAID.items():
        if isinstance(error, kind):
            return unauthenticated(reason, message)
    if isinstance(error, jwt.InvalidSignatureError | jwt.InvalidAlgorithmError):
        return unauthenticated("token_signature", "the token's signature is wrong, or not of the kind its key makes")
    return _malformed()


def _malformed() -> Refusal:
    return unauthenticated("token_malformed", f"this is neither an API key nor a token of at most {MAX_BYTES} bytes")


def _wrong_claims() -> Refusal:
    """Return the refusal of a token whose signature is right: its issuer must learn what to change."""
    text = f"sub must have 1 to {_MAX_SUB_CHARS} characters, scope must be a string of scopes separated by spaces"
    text += f", sessions a list of at most {MAX_PATTERNS} strings, exp and iat seconds since 1970, and jti a string"
    return unauthenticated("token_claims", f"the token's claims are invalid: {text}")


def _as_jwk(secret: JwtSecret) -> dict[str, Any]:
    return {"kty": "oct", "k": jwt.utils.base64url_encode(secret.value).decode()}

"""Credentials in the OpenAPI document: how a request carries one, and the routes that mint and revoke them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from turnwire.gateway.openapi.examples import TIME
from turnwire.gateway.openapi.parts import JSON, operation
from turnwire.gateway.openapi.schemas import Schema, ref
from turnwire.protocol.rights import MAX_PATTERNS, Scope

SECURITY_SCHEMES: Final[Schema] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (`tw_…`) or a token (JWT). Not needed if the gateway runs without authentication.",
    }
}
SECURITY: Final[list[Schema]] = [{"bearer": []}, {}]
"""A credential is optional in the document: the gateway's configuration decides whether one is needed."""
CREDENTIAL_EXAMPLES: Final[dict[str, Schema]] = {
    "MintRequest": {"sub": "alice", "scope": "session:read session:list", "sessions": ["call-*"], "ttl": 600},
    "MintedToken": {"token": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl", "expiresAt": TIME},
    "RevocationRequest": {"sub": "alice", "before": TIME},
}
_MAX_ID_CHARS: Final = 256
_MAX_PATTERN_CHARS: Final = 1025
_MAX_TTL: Final = 3600
_DEFAULT_TTL: Final = 600
_REVOCABLE: Final = {
    "jti": "Revoke one token.",
    "sub": "Revoke all tokens of a subject.",
    "key": "Revoke an API key and the tokens minted with it.",
}


def credential_paths(write_errors: Sequence[int]) -> Schema:
    """Return the routes. `write_errors`: the statuses of every route that writes."""
    return {"/tokens": {"post": _mint_token(write_errors)}, "/revocations": {"post": _revoke(write_errors)}}


def credential_schemas() -> dict[str, Schema]:
    """Return the bodies of the routes, by name."""
    made = {"MintRequest": _mint_request(), "MintedToken": _minted_token(), "RevocationRequest": _revocation_request()}
    for name, schema in made.items():
        schema |= {"title": name, "type": "object", "examples": [CREDENTIAL_EXAMPLES[name]]}
    return made


def _mint_token(errors: Sequence[int]) -> Schema:
    minted = {"description": "The token. The answer must not be cached.", "content": _content("MintedToken")}
    return operation(
        "mintToken",
        "Mint a token",
        f"Mint a token, for a browser for example. Needs `{Scope.MINT}`. The token has at most the scopes and sessions "
        "of the credential that mints it, and does not outlive it. A gateway without a signing secret answers 403.",
        tag="Credentials",
        answers={"201": minted},
        errors=errors,
        requestBody={"required": True, "content": _content("MintRequest")},
    )


def _revoke(errors: Sequence[int]) -> Schema:
    return operation(
        "revoke",
        "Revoke credentials",
        f"Revoke one token, one subject or one API key permanently. Needs `{Scope.ADMIN}`. Connections that the "
        "revoked credentials have opened are closed within 5 s. Safe to repeat.",
        tag="Credentials",
        answers={"204": {"description": "The revocation is durable."}},
        errors=errors,
        requestBody={"required": True, "content": _content("RevocationRequest")},
    )


def _content(name: str) -> Schema:
    return {JSON: {"schema": ref(name), "example": CREDENTIAL_EXAMPLES[name]}}


def _mint_request() -> Schema:
    pattern = {"type": "string", "minLength": 1, "maxLength": _MAX_PATTERN_CHARS}
    scopes = "|".join(Scope)
    properties: Schema = {
        "sub": {
            "type": "string",
            "minLength": 1,
            "maxLength": _MAX_ID_CHARS,
            "description": "The subject of the token.",
        },
        "scope": {
            "type": "string",
            "pattern": rf"^\s*(({scopes})(\s+|$))*$",
            "description": "Scopes, separated by whitespace.",
        },
        "sessions": {
            "type": "array",
            "items": pattern,
            "maxItems": MAX_PATTERNS,
            "description": "SessionIds; a `*` at the end matches any suffix.",
        },
        "ttl": {
            "anyOf": [{"type": "integer", "minimum": 1, "maximum": _MAX_TTL}, {"type": "null"}],
            "description": f"Lifetime in seconds; {_DEFAULT_TTL} if left out.",
        },
    }
    return {"properties": properties, "required": ["sub", "scope", "sessions"]}


def _minted_token() -> Schema:
    expires_at = {"type": "string", "format": "date-time"}
    return {
        "properties": {"token": {"type": "string"}, "expiresAt": expires_at},
        "required": ["token", "expiresAt"],
    }


def _revocation_request() -> Schema:
    one: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": _MAX_ID_CHARS}
    properties: Schema = {
        name: {"anyOf": [one, {"type": "null"}], "description": text} for name, text in _REVOCABLE.items()
    }
    properties["before"] = {
        "anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}],
        "description": "Credentials issued at this time or later are not revoked.",
    }
    given = [{"required": [name], "properties": {name: {"type": "string"}}} for name in _REVOCABLE]
    return {"description": "Exactly one of jti, sub and key.", "properties": properties, "oneOf": given}

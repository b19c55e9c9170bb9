"""Credentials in the OpenAPI document: how a request brings one, and the routes that make and revoke them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from turnwire.gateway.openapi.parts import JSON, operation
from turnwire.gateway.openapi.schemas import TIME, Schema, ref
from turnwire.protocol.rights import MAX_PATTERNS, Scope

SECURITY_SCHEMES: Final[Schema] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (`tw_…`) or a token (JWT). Without authentication none is needed.",
    }
}
SECURITY: Final[list[Schema]] = [{"bearer": []}, {}]
"""A credential, or none: whether one is needed depends on how the gateway is configured."""
CREDENTIAL_EXAMPLES: Final[dict[str, Schema]] = {
    "MintRequest": {"sub": "alice", "scope": "session:read session:list", "sessions": ["call-*"], "ttl": 600},
    "MintedToken": {"token": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl", "expiresAt": TIME},
    "RevocationRequest": {"sub": "alice", "before": TIME},
}
_MAX_ID_CHARS: Final = 256
_MAX_PATTERN_CHARS: Final = 1025
_MAX_TTL: Final = 3600
_DEFAULT_TTL: Final = 600
_REVOCABLE: Final = {"jti": "One token.", "sub": "All tokens of a subject.", "key": "An API key, and what it minted."}


def credential_paths(write_errors: Sequence[int]) -> Schema:
    """The routes; `write_errors` are the statuses of every route that writes."""
    return {"/tokens": {"post": _mint_token(write_errors)}, "/revocations": {"post": _revoke(write_errors)}}


def credential_schemas() -> dict[str, Schema]:
    """The bodies of the routes, by name."""
    made = {"MintRequest": _mint_request(), "MintedToken": _minted_token(), "RevocationRequest": _revocation_request()}
    for name, schema in made.items():
        schema |= {"title": name, "type": "object", "examples": [CREDENTIAL_EXAMPLES[name]]}
    return made


def _mint_token(errors: Sequence[int]) -> Schema:
    minted = {"description": "The token. The answer is not to be cached.", "content": _content("MintedToken")}
    return operation(
        "mintToken",
        "Mint a token",
        f"For a browser, say. Needs `{Scope.MINT}`. A token has at most the scopes and the sessions of its minter, and "
        "ends no later than the minter's own. Without a secret to sign with, the gateway mints nothing: 403.",
        tag="Credentials",
        answers={"201": minted},
        errors=errors,
        requestBody={"required": True, "content": _content("MintRequest")},
    )


def _revoke(errors: Sequence[int]) -> Schema:
    return operation(
        "revoke",
        "Revoke credentials",
        f"Of one token, one subject or one API key, for ever. Needs `{Scope.ADMIN}`. Connections they have opened are "
        "closed within 5 s. Safe to repeat.",
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
        "sub": {"type": "string", "minLength": 1, "maxLength": _MAX_ID_CHARS, "description": "Whom the token is for."},
        "scope": {
            "type": "string",
            "pattern": rf"^\s*(({scopes})(\s+|$))*$",
            "description": "Scopes, separated by spaces.",
        },
        "sessions": {
            "type": "array",
            "items": pattern,
            "maxItems": MAX_PATTERNS,
            "description": "Ids of sessions; a `*` at the end stands for any rest.",
        },
        "ttl": {
            "anyOf": [{"type": "integer", "minimum": 1, "maximum": _MAX_TTL}, {"type": "null"}],
            "default": _DEFAULT_TTL,
            "description": "Seconds.",
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
        name: {"anyOf": [one, {"type": "null"}], "default": None, "description": text}
        for name, text in _REVOCABLE.items()
    }
    properties["before"] = {
        "anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}],
        "default": None,
        "description": "Spares what was issued at this time or later.",
    }
    given = [{"required": [name], "properties": {name: {"type": "string"}}} for name in _REVOCABLE]
    return {"description": "Exactly one of jti, sub and key.", "properties": properties, "oneOf": given}

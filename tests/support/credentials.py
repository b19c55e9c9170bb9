"""API keys, signing keys and tokens for tests. They are made once, because RSA keys take long."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from turnwire.protocol.rights import Scope, new_key, parse_key, secret_digest

SECRET = b"0123456789abcdef0123456789abcdef-of-tests"
EVERY_SCOPE = " ".join(Scope)


def key_line(text: str, scope: str = "session:read", sessions: Sequence[str] = ("*",), **fields: Any) -> str:
    """Return the line for this key in a file of API keys."""
    key = parse_key(text)
    assert key is not None
    digest = secret_digest(key.secret)
    return json.dumps({"id": key.id, "sha256": digest, "scope": scope, "sessions": list(sessions), **fields}) + "\n"


def write_keys(path: Path, *lines: str) -> Path:
    path.write_text("".join(lines))
    path.chmod(0o600)
    return path


def write_secret(path: Path, secret: bytes = SECRET) -> Path:
    path.write_bytes(secret + b"\n")
    path.chmod(0o600)
    return path


def make_key(key_id: str = "bot", scope: str = "session:read", sessions: Sequence[str] = ("*",)) -> tuple[str, str]:
    """Make an API key. Return it and its line."""
    text = new_key(key_id)
    return text, key_line(text, scope, sessions)


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def signing_key(algorithm: str) -> Any:
    return {"RS256": rsa_key, "ES256": ec_key, "EdDSA": ed_key}[algorithm]()


def public_jwk(algorithm: str, **fields: Any) -> dict[str, Any]:
    """Return the public part of `signing_key`, with the algorithm as its `kid` unless given."""
    kinds: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}
    jwk: dict[str, Any] = kinds[algorithm].to_jwk(signing_key(algorithm).public_key(), as_dict=True)
    jwk.pop("key_ops", None)
    return {**jwk, "kid": algorithm, **fields}


def pem_of(algorithm: str) -> bytes:
    """Return the public part of `signing_key` as PEM."""
    pem: bytes = (
        signing_key(algorithm)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return pem


def key_set(*jwks: dict[str, Any]) -> bytes:
    return json.dumps({"keys": list(jwks)}).encode()


def claims(**fields: Any) -> dict[str, Any]:
    """Return the claims of a token that is valid for a minute. A field of None is left out."""
    now = int(time.time())
    given = {"sub": "alice", "exp": now + 3600, "iat": now, "scope": "session:read", "sessions": ["a*"], **fields}
    return {name: value for name, value in given.items() if value is not None}


def token(algorithm: str = "HS256", key: Any = SECRET, head: dict[str, Any] | None = None, **fields: Any) -> str:
    """Return a signed token. Algorithms other than HS256 use their `signing_key` and `kid`, unless given."""
    if algorithm in ("RS256", "ES256", "EdDSA") and key is SECRET:
        key = signing_key(algorithm)
        head = {"kid": algorithm} if head is None else head
    return jwt.encode(claims(**fields), key, algorithm=algorithm, headers=head)


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

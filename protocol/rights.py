"""What a credential grants: its scopes and sessions. Also the text of an API key, and its line in the key file."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import field

from turnwire.protocol.messages import Shape

ALL_SESSIONS: Final = "*"
"""The pattern that covers every session, and requests that concern no particular one."""
MAX_PATTERNS: Final = 1000
_MAX_PATTERN_CHARS: Final = 1025
_KEY_ID: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_KEY: Final = re.compile(r"tw_(.{1,64})_([A-Za-z0-9]{32,128})")
_SECRET_LETTERS: Final = string.ascii_letters + string.digits
_SECRET_CHARS: Final = 43
"""The number of characters of a secret, each one of 62. That gives 256 bits, so even a fast hash cannot be reversed by
brute force."""


class Scope(StrEnum):
    """A right that a credential may grant."""

    CREATE = "session:create"
    PUBLISH = "session:publish"
    COMPLETE = "session:complete"
    READ = "session:read"
    LIST = "session:list"
    COMMAND = "session:command"
    DELETE = "session:delete"
    MINT = "token:mint"
    METRICS = "metrics"
    ADMIN = "admin"


class KeyLine(Shape, forbid_unknown_fields=True, omit_defaults=True):
    """A line of the key file. `sha256` is the hex digest of the secret alone, `expires_at` a wire time."""

    id: str
    sha256: str
    scope: str
    sessions: list[str] = field(default_factory=list)
    expires_at: str | None = None


class KeyText(NamedTuple):
    """The parts of `tw_<id>_<secret>`."""

    id: str
    secret: str


def parse_scope(text: str) -> frozenset[Scope]:
    """Parse scopes separated by spaces. Raises ValueError for an unknown one."""
    unknown = sorted(set(text.split()) - set(Scope))
    if unknown:
        raise ValueError(f"there is no scope {unknown[0][:64]!r}; there are {', '.join(Scope)}")
    return frozenset(Scope(word) for word in text.split())


def known_scopes(text: str) -> frozenset[Scope]:
    """Parse scopes separated by spaces, ignoring unknown ones: a token may carry scopes for other services."""
    return frozenset(Scope(word) for word in text.split() if word in set(Scope))


def check_patterns(patterns: Sequence[str]) -> None:
    """Raise ValueError for too many session patterns, or for one that is empty or too long to cover a session."""
    if len(patterns) > MAX_PATTERNS:
        raise ValueError(f"sessions must have at most {MAX_PATTERNS} entries, has {len(patterns)}")
    for pattern in patterns:
        if not 1 <= len(pattern) <= _MAX_PATTERN_CHARS:
            raise ValueError(f"each of sessions must have 1 to {_MAX_PATTERN_CHARS} characters")


def is_within(pattern: str, others: Iterable[str]) -> bool:
    """Return whether one of the other patterns covers every session that `pattern` covers."""
    return any(
        pattern == other or (other.endswith("*") and pattern.removesuffix("*").startswith(other[:-1]))
        for other in others
    )


def check_key_id(key_id: str) -> None:
    """Raise ValueError for an invalid id of an API key."""
    if not _KEY_ID.fullmatch(key_id):
        raise ValueError(f"{key_id[:80]!r} is not an id: it takes 1 to 64 letters and digits, with . _ - between them")


def new_key(key_id: str) -> str:
    """Make the text of a new API key. Raises ValueError for an invalid id."""
    check_key_id(key_id)
    return f"tw_{key_id}_{''.join(secrets.choice(_SECRET_LETTERS) for _ in range(_SECRET_CHARS))}"


def parse_key(text: str) -> KeyText | None:
    """Return the id and secret of an API key, or None for a text that is not an API key."""
    found = _KEY.fullmatch(text)
    return None if found is None or not _KEY_ID.fullmatch(found[1]) else KeyText(found[1], found[2])


def secret_digest(secret: str) -> str:
    """Return what the key file holds of a secret: its SHA-256 in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()

"""What a credential says: scopes, the sessions it covers, the text of an API key and its line in a file."""

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
"""The pattern that covers every session, and what is about no session at all."""
MAX_PATTERNS: Final = 1000
_MAX_PATTERN_CHARS: Final = 1025
_KEY_ID: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_KEY: Final = re.compile(r"tw_(.{1,64})_([A-Za-z0-9]{32,128})")
_SECRET_LETTERS: Final = string.ascii_letters + string.digits
_SECRET_CHARS: Final = 43
"""Of 62 letters each: 256 bits, so that a fast hash of a secret cannot be reversed by trying."""


class Scope(StrEnum):
    """What a credential may allow."""

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
    """A line of the file of API keys. `sha256` is the hex digest of the secret alone; `expires_at` a wire time."""

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
    """The scopes of a text separated by spaces. Raises ValueError for one there is not."""
    unknown = sorted(set(text.split()) - set(Scope))
    if unknown:
        raise ValueError(f"there is no scope {unknown[0][:64]!r}; there are {', '.join(Scope)}")
    return frozenset(Scope(word) for word in text.split())


def known_scopes(text: str) -> frozenset[Scope]:
    """The scopes of a text that are ours: a token may carry others for others."""
    return frozenset(Scope(word) for word in text.split() if word in set(Scope))


def check_patterns(patterns: Sequence[str]) -> None:
    """Raises ValueError for patterns of sessions that can cover nothing, or are too many."""
    if len(patterns) > MAX_PATTERNS:
        raise ValueError(f"sessions must have at most {MAX_PATTERNS} entries, has {len(patterns)}")
    for pattern in patterns:
        if not 1 <= len(pattern) <= _MAX_PATTERN_CHARS:
            raise ValueError(f"each of sessions must have 1 to {_MAX_PATTERN_CHARS} characters")


def is_within(pattern: str, others: Iterable[str]) -> bool:
    """Whether one of the other patterns covers all that this one does."""
    return any(
        pattern == other or (other.endswith("*") and pattern.removesuffix("*").startswith(other[:-1]))
        for other in others
    )


def check_key_id(key_id: str) -> None:
    """Raises ValueError for what cannot be the id of an API key."""
    if not _KEY_ID.fullmatch(key_id):
        raise ValueError(f"{key_id[:80]!r} is no id: 1 to 64 letters, digits, and . _ - between them")


def new_key(key_id: str) -> str:
    """The text of a new API key. Raises ValueError, as `check_key_id`."""
    check_key_id(key_id)
    return f"tw_{key_id}_{''.join(secrets.choice(_SECRET_LETTERS) for _ in range(_SECRET_CHARS))}"


def parse_key(text: str) -> KeyText | None:
    """The id and secret of an API key; None for what is none."""
    found = _KEY.fullmatch(text)
    return None if found is None or not _KEY_ID.fullmatch(found[1]) else KeyText(found[1], found[2])


def secret_digest(secret: str) -> str:
    """What a file keeps of a secret: SHA-256, hex."""
    return hashlib.sha256(secret.encode()).hexdigest()

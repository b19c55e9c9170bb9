"""Where the objects of a session are in the archive."""

from __future__ import annotations

import hashlib
import re
from typing import Final

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_NAME_CHARS: Final = 60
MANIFEST: Final = ".json"
LINE: Final = ".ndjson.zst"


def folder_of(session_id: str) -> str:
    """Return the prefix of everything that is archived under a session id, without a trailing slash.

    The prefix holds as much of the id as every object store and file system accepts. A hash tells similar ids apart.
    """
    digest = hashlib.blake2b(session_id.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    name = _UNSAFE.sub("_", session_id)[:_NAME_CHARS]
    return f"sessions/{digest[:2]}/{name}-{digest}"


def manifest_key(session_id: str, life: int | None, attempt: str) -> str:
    return f"{_stem(session_id, life, attempt)}{MANIFEST}"


def line_key(session_id: str, life: int | None, attempt: str) -> str:
    return f"{_stem(session_id, life, attempt)}{LINE}"


def is_of_life(key: str, life: int | None) -> bool:
    """Return whether an object in a session's folder belongs to the session with this life."""
    return key.rpartition("/")[2].startswith(f"{_life(life)}-")


def is_of_attempt(key: str, attempt: str) -> bool:
    """Return whether an object belongs to an attempt to archive its session."""
    return key.rpartition("/")[2].partition(".")[0].endswith(f"-{attempt}")


def _stem(session_id: str, life: int | None, attempt: str) -> str:
    return f"{folder_of(session_id)}/{_life(life)}-{attempt}"


def _life(life: int | None) -> str:
    return "first" if life is None else str(life)

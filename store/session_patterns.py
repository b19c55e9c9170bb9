"""The sessions that the patterns of a credential cover. A pattern is an id, or a prefix followed by `*`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def covers(patterns: Sequence[str], session_id: str) -> bool:
    """Return whether one of the patterns covers this session."""
    return any(session_id.startswith(each[:-1]) if each.endswith("*") else session_id == each for each in patterns)


def ids_like(patterns: Sequence[str]) -> dict[str, Any]:
    """Return the MongoDB condition for sessions that one of the patterns covers."""
    exact = [pattern for pattern in patterns if not pattern.endswith("*")]
    ranges = [ids_from(pattern[:-1]) for pattern in patterns if pattern.endswith("*")]
    return {"$or": [{"_id": {"$in": exact}}, *ranges]}


def ids_from(prefix: str) -> dict[str, Any]:
    """Return the MongoDB condition for sessions whose ids begin with this text."""
    return {"_id": {"$gte": prefix, "$lt": f"{prefix}\U0010ffff"}}

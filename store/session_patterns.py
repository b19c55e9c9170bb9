"""Which sessions the patterns of a credential cover. A pattern is an id, or a prefix followed by `*`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def covers(patterns: Sequence[str], session_id: str) -> bool:
    """Return whether one of the patterns covers this session."""
    return any(session_id.startswith(each[:-1]) if each.endswith("*") else session_id == each for each in patterns)


def ids_like(patterns: Sequence[str]) -> dict[str, Any]:
    """Return the MongoDB condition for sessions that one of the patterns covers."""
    exact = [pattern for pattern in patterns if not pattern.endswith("*")]
    ranges = [{"_id": {"$gte": each[:-1], "$lt": f"{each[:-1]}\U0010ffff"}} for each in patterns if each.endswith("*")]
    return {"$or": [{"_id": {"$in": exact}}, *ranges]}

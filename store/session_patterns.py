"""Conditions for the sessions that a credential covers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def covers(patterns: Sequence[str], session_id: str) -> bool:
    """Whether one of the patterns is the id, or what it begins with, before a `*`."""
    return any(session_id.startswith(each[:-1]) if each.endswith("*") else session_id == each for each in patterns)


def ids_like(patterns: Sequence[str]) -> dict[str, Any]:
    """The condition for ids that one of the patterns covers: it is the id, or what it begins with, before a `*`."""
    exact = [pattern for pattern in patterns if not pattern.endswith("*")]
    ranges = [{"_id": {"$gte": each[:-1], "$lt": f"{each[:-1]}\U0010ffff"}} for each in patterns if each.endswith("*")]
    return {"$or": [{"_id": {"$in": exact}}, *ranges]}

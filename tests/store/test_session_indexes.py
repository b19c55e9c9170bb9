"""What the database is asked for: only what one of its indexes serves. All else would read every session there is."""

from __future__ import annotations

from typing import Any

import pytest

from turnwire.store.listing.indexes import CHANGES, SessionIndexes
from turnwire.store.session_filter import SearchFilter
from turnwire.store.sessions import SessionQuery

FILTERS: list[dict[str, Any]] = [
    {"status": ("failed",)},
    {"status": ("initiated", "active"), "language": "en"},
    {"patterns": ("call-*", "one")},
    {"end_reason": "hangup"},
    {"end_reason": ""},
    {"id_prefix": "call-"},
    {"metadata": (("bot", "ann"), ("plan", "gold"), ("a.b", "x"), ("customerId", ""))},
    {"has_errors": True},
    {"has_errors": False},
    {"tools_failed": 2},
    {"tools_failed": 0},
    {"min_duration_ms": 5, "max_duration_ms": 9, "min_response_p95_ms": 30, "min_interruptions": 1},
    {"words": ("hello",)},
]


def query(**fields: Any) -> SessionQuery:
    given = {name: fields.pop(name) for name in tuple(fields) if name in SessionQuery.__struct_fields__}
    return SessionQuery(limit=10, more=SearchFilter(**fields), **given)


def indexes(*, many: bool) -> SessionIndexes:
    made = SessionIndexes()
    made.many, made.metadata_keys = many, ("customerId", "bot", "a.b")
    return made


def keys(made: SessionIndexes) -> list[tuple[str, ...]]:
    return [tuple(model.document["key"]) for model in made.models()]


@pytest.mark.parametrize("many", [True, False])
@pytest.mark.parametrize("fields", FILTERS, ids=str)
def test_every_condition_on_a_session_is_served_by_an_index_that_ends_in_the_order_of_lists(
    fields: dict[str, Any], many: bool
) -> None:
    made = indexes(many=many)
    for field in made.condition(query(**fields)):
        if field in ("_id", "$or"):
            continue  # of ids, which have an index of their own
        serving = [key for key in keys(made) if key in ((field, "startedAt", "_id"), ("startedAt", "_id", field))]
        assert serving, field


def test_the_embedded_database_is_asked_by_status_alone() -> None:
    asked = [indexes(many=False).condition(query(**fields)) for fields in FILTERS]
    assert [each for each in asked if each] == [{"status": "failed"}, {"status": {"$in": ["initiated", "active"]}}]
    assert keys(indexes(many=False)) == [("startedAt", "_id"), ("status", "startedAt", "_id")]


def test_a_search_index_beside_others_asks_by_indexes_of_the_embedded_database_too() -> None:
    made = indexes(many=False)
    made.changes = True
    assert keys(made)[2:] == [(name,) for name in CHANGES]


def test_a_mongodb_is_asked_by_all_that_it_has_indexes_for() -> None:
    made = indexes(many=True)
    assert made.condition(query(language="en", end_reason="hangup", metadata=(("bot", "7"), ("plan", "gold")))) == {
        "language": "en",
        "endReason": "hangup",
        "metadata.bot": {"$in": ["7", 7]},
    }
    assert made.condition(query(end_reason="")) == {"endReason": None}
    assert made.condition(query(id_prefix="call-")) == {"_id": {"$gte": "call-", "$lt": "call-\U0010ffff"}}
    assert made.condition(query(has_errors=True, tools_failed=2)) == {
        "figures.errors": {"$gt": 0},
        "figures.toolsFailed": {"$gte": 2},
    }


def test_sessions_with_errors_or_failed_tools_have_indexes_of_their_own() -> None:
    partial = {
        tuple(model.document["key"])[-1]: model.document["partialFilterExpression"]
        for model in indexes(many=True).models()
        if "partialFilterExpression" in model.document
    }
    assert partial == {name: {name: {"$gt": 0}} for name in ("figures.errors", "figures.toolsFailed")}

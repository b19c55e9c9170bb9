"""The driver's options: a time limit for operations, unless the MongoDB URI sets one."""

from __future__ import annotations

import pytest

from turnwire.store.mongo import options_beside

HOST = "mongodb://127.0.0.1/"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?directConnection=true",
        "?connectTimeoutMS=20000",
        "?serverSelectionTimeoutMS=3000&retryWrites=false",
        "?socketTimeoutMS=5000;w=1",
        "?appName=timeoutMS%3D3",
    ],
)
def test_database_operations_have_a_time_limit_unless_the_uri_sets_one(query: str) -> None:
    assert options_beside(HOST + query)["timeoutMS"] == 10_000


@pytest.mark.parametrize("query", ["?timeoutMS=3000", "?retryWrites=false&timeoutms=3000", "?w=1;TIMEOUTMS=3000"])
def test_a_time_limit_in_the_mongodb_uri_is_kept(query: str) -> None:
    options = options_beside(HOST + query)
    assert "timeoutMS" not in options
    assert options["connectTimeoutMS"] == 5000

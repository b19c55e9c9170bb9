"""The driver's options: a time limit for operations, and few connections to the packaged server, unless the MongoDB URI
sets them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from turnwire.store.embedded.places import HOST as LOOPBACK
from turnwire.store.embedded.places import free_port
from turnwire.store.mongo import FEW_CONNECTIONS, Store, options_beside
from turnwire.store.opening.server_check import is_packaged

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


def connections_of(store: Store) -> int:
    limit = store._client.options.pool_options.max_pool_size
    assert isinstance(limit, int)
    return limit


async def test_a_gateway_makes_few_connections_to_a_packaged_server_behind_its_uri(
    database_uri: str, database_name: str
) -> None:
    store = await Store.open(database_uri, database_name, embedded=False, insert_lanes=None)
    try:
        build = await store._client.admin.command("buildInfo")
        assert connections_of(store) == (FEW_CONNECTIONS if is_packaged(build) else 100)
        await store.prepare()
    finally:
        await store.close()


async def test_a_number_of_connections_in_the_uri_is_kept(database_uri: str, database_name: str) -> None:
    store = await Store.open(f"{database_uri}&maxPoolSize=7", database_name, embedded=False, insert_lanes=None)
    try:
        assert connections_of(store) == 7
    finally:
        await store.close()


@pytest.mark.slow
async def test_a_server_that_is_away_at_the_start_is_taken_for_a_mongodb() -> None:
    away = f"mongodb://127.0.0.1:{free_port(LOOPBACK)}/?serverSelectionTimeoutMS=100&timeoutMS=200"
    store = await Store.open(away, "nobody", embedded=False, insert_lanes=None)
    try:
        assert connections_of(store) == 100
    finally:
        await store.close()


def test_only_the_packaged_server_is_recognized_by_its_build() -> None:
    assert is_packaged({"version": "8.2.11", "secantusVersion": "0.7.0b3"})
    assert not is_packaged({"version": "7.0.14", "buildEnvironment": {"cc": "gcc"}})
    assert not is_packaged({"version": "8.2.11", "secantusVersion": "0.5.3", "buildEnvironment": {"cc": "rustc"}})


async def test_a_uri_that_names_a_missing_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^MONGODB_URI cannot be used: The tlscafile file is not readable$"):
        Store.connect(f"{HOST}?tls=true&tlsCAFile={tmp_path}/missing", "name")

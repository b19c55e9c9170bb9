"""The format of what is stored: noted once, and a newer one is not opened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient

from turnwire.protocol.errors import StorageRefused
from turnwire.store.embedded.directory_mark import DirectoryMark, DirectoryRefused, check_mark, keep_mark, read_mark
from turnwire.store.embedded.program import PACKAGED, Engine
from turnwire.store.mongo import Store
from turnwire.store.opening.format import FORMAT
from turnwire.version import __version__


async def test_a_database_without_a_format_gets_the_present_one(store: Store) -> None:
    assert await store.format.read() == FORMAT
    await store.format.keep()
    assert await store.format_fault() is None


@pytest.mark.parametrize(("embedded", "kept"), [(True, FORMAT), (False, 1)])
async def test_the_format_of_an_older_database_is_raised_only_where_older_gateways_would_misread_it(
    database_uri: str, database_name: str, *, embedded: bool, kept: int
) -> None:
    async with AsyncMongoClient[dict[str, object]](database_uri) as client:
        await client[database_name]["turnwire"].insert_one({"_id": "format", "format": 1, "writer": "0.1.0"})
    store = Store.connect(database_uri, database_name, embedded=embedded)
    try:
        await store.prepare()
        assert await store.stored_format() == kept
    finally:
        await store.close()


async def test_a_database_of_a_newer_format_is_refused_and_left_as_it_is(database_uri: str, database_name: str) -> None:
    async with AsyncMongoClient[dict[str, object]](database_uri) as client:
        database = client[database_name]
        await database["turnwire"].insert_one({"_id": "format", "format": FORMAT + 1, "writer": "7.1.0"})
        store = Store.connect(database_uri, database_name)
        try:
            with pytest.raises(StorageRefused) as refused:
                await store.prepare()
            assert f"format {FORMAT + 1}, of Turnwire 7.1.0" in refused.value.reason
            assert "install 7.1.0 or later" in str(await store.format_fault())
            assert not (await store.state()).up
        finally:
            await store.close()
        assert await database.list_collection_names() == ["turnwire"]


def packaged(version: str | None) -> Engine:
    return Engine(PACKAGED, version)


def marked(folder: Path, **mark: object) -> Path:
    (folder / "turnwire.json").write_text(json.dumps(mark))
    return folder


def test_a_directory_without_a_mark_is_opened_and_gets_one(tmp_path: Path) -> None:
    check_mark(tmp_path, packaged("0.7.0b3"))
    keep_mark(tmp_path, packaged("0.7.0b3"))
    assert read_mark(tmp_path) == DirectoryMark(FORMAT, __version__, "0.7.0b3")
    check_mark(tmp_path, packaged("0.7.0b3"))
    keep_mark(tmp_path, packaged("0.10.0"))
    assert read_mark(tmp_path) == DirectoryMark(FORMAT, __version__, "0.10.0")


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        (
            {"format": FORMAT + 1, "turnwire": "7.1.0"},
            [f"format {FORMAT + 1}", "7.1.0 or later", f"formats up to {FORMAT}"],
        ),
        ({"format": 9}, ["a newer Turnwire"]),
        ({"format": 1, "turnwire": "0.1.0", "database": "0.10.0"}, ["0.10.0", "0.7.0b3 is installed"]),
        ({"format": "one"}, ["cannot be read"]),
    ],
)
def test_a_directory_that_something_newer_has_opened_is_refused(
    tmp_path: Path, mark: dict[str, object], said: Sequence[str]
) -> None:
    with pytest.raises(DirectoryRefused) as refused:
        check_mark(marked(tmp_path, **mark), packaged("0.7.0b3"))
    assert all(text in str(refused.value) for text in said), refused.value


@pytest.mark.parametrize("engine", [None, "0.7.0b3", "0.7.0", "0.7.1", "1.0"])
def test_a_newer_or_unknown_engine_opens_a_directory(tmp_path: Path, engine: str | None) -> None:
    check_mark(marked(tmp_path, format=1, turnwire="0.1.0", database="0.7.0b3"), packaged(engine))


@pytest.mark.parametrize(
    ("mark", "engine", "said"),
    [
        (
            None,
            "SecantusDB rust",
            ["server, SecantusDB python,", "leave TURNWIRE_EMBEDDED_COMMAND out"],
        ),
        (
            {"format": 1, "database": "0.7.0"},
            "SecantusDB rust",
            ["python 0.7.0", "rust 0.5 may not read it"],
        ),
        ({"format": 1, "engine": "SecantusDB rust"}, PACKAGED, ["set TURNWIRE_EMBEDDED_COMMAND to that server"]),
        ({"format": 1, "engine": "SecantusDB rust", "database": "0.6"}, "SecantusDB rust", ["SecantusDB rust 0.6 or"]),
    ],
)
def test_a_directory_that_another_server_has_written_is_refused(
    tmp_path: Path, mark: dict[str, object] | None, engine: str, said: Sequence[str]
) -> None:
    folder = tmp_path if mark is None else marked(tmp_path, **mark)
    with pytest.raises(DirectoryRefused) as refused:
        check_mark(folder, Engine(engine, "0.5"))
    assert all(text in str(refused.value) for text in said), refused.value


def test_a_directory_without_a_database_is_open_to_any_server(tmp_path: Path) -> None:
    check_mark(marked(tmp_path, format=1, engine="SecantusDB rust", database="0.6"), None)

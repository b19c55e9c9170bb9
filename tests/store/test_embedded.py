"""The embedded database as a real child process: started, killed, locked, stopped."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from tests.support.processes import clean_environment, is_running, wait_until
from turnwire.store.embedded import die_with_parent
from turnwire.store.embedded.ending import ends_within
from turnwire.store.embedded.faults import EmbeddedDatabaseError
from turnwire.store.embedded.op_msg import is_broken
from turnwire.store.embedded.places import HOST
from turnwire.store.embedded.scram import DatabaseUser
from turnwire.store.embedded.server import EmbeddedDatabase

pytestmark = pytest.mark.e2e

PARENT = """
import asyncio, sys
from pathlib import Path
from turnwire.store.embedded.server import EmbeddedDatabase

async def main():
    async with EmbeddedDatabase(Path(sys.argv[1])) as database:
        print(database.pid, flush=True)
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
"""


def insert(uri: str, name: str) -> None:
    with MongoClient[dict[str, object]](uri, w="majority", journal=True, timeoutMS=10_000) as client:
        client["kept"]["things"].insert_one({"_id": name})


def names(uri: str) -> list[str]:
    with MongoClient[dict[str, object]](uri, timeoutMS=10_000) as client:
        return sorted(str(document["_id"]) for document in client["kept"]["things"].find())


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


def damage(data_dir: Path) -> None:
    """Leave behind a database that cannot be opened."""
    (data_dir / "db" / "WiredTiger.turtle").write_text("damaged")


async def until(condition: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(wait_until, condition, what)


async def test_the_embedded_database_answers_as_soon_as_it_has_started(tmp_path: Path) -> None:
    async with EmbeddedDatabase(tmp_path) as database:
        await asyncio.to_thread(insert, database.uri, "a")
        assert await asyncio.to_thread(names, database.uri) == ["a"]
        assert database.pid is not None
        assert database.restarts == 0


async def test_the_embedded_database_admits_only_its_own_user_and_an_old_one_gets_a_user(tmp_path: Path) -> None:
    kept = tmp_path / "database.credentials"
    async with EmbeddedDatabase(tmp_path) as database:
        await asyncio.to_thread(insert, database.uri, "a")
        first, stranger = database.uri, f"mongodb://{database.uri.rpartition('@')[2]}"
        for uri in (stranger, stranger.replace("://", "://turnwire:wrong@")):
            with pytest.raises(OperationFailure):
                await asyncio.to_thread(names, uri)
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    kept.unlink()
    async with EmbeddedDatabase(tmp_path) as database:
        assert await asyncio.to_thread(names, database.uri) == ["a"]
        old = f"{first.rpartition('@')[0]}@{database.uri.rpartition('@')[2]}"
        with pytest.raises(OperationFailure):
            await asyncio.to_thread(names, old)


async def test_a_server_that_rejects_the_credentials_it_took_before_counts_as_broken(tmp_path: Path) -> None:
    async with EmbeddedDatabase(tmp_path) as database:
        at = urlsplit(database.uri)
        assert at.port is not None
        known = DatabaseUser(at.username or "", at.password or "")
        assert not await is_broken(HOST, at.port, 5.0, known)
        assert await is_broken(HOST, at.port, 5.0, DatabaseUser(known.user, "another"))
    assert not await is_broken(HOST, at.port, 5.0, known), "who is away is not broken"


async def test_credentials_that_cannot_be_read_are_said_plainly_and_lose_nothing(tmp_path: Path) -> None:
    (tmp_path / "database.credentials").write_text("damaged")
    with pytest.raises(EmbeddedDatabaseError, match=r"database\.credentials"):
        await EmbeddedDatabase(tmp_path).start()


async def test_stopping_the_embedded_database_leaves_no_process_and_keeps_its_data(tmp_path: Path) -> None:
    database = EmbeddedDatabase(tmp_path)
    await database.start()
    pid = database.pid
    assert pid is not None
    await asyncio.to_thread(insert, database.uri, "a")
    await database.stop()
    assert not is_running(pid)
    assert database.pid is None
    await database.stop()  # a stop may be repeated
    async with EmbeddedDatabase(tmp_path) as again:
        assert await asyncio.to_thread(names, again.uri) == ["a"]


async def test_the_server_does_not_clear_its_journal_of_changes_after_a_quiet_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would remove all that is an hour old at once, while acks wait."""

    def store_and_count(uri: str, numbers: range) -> int:
        with MongoClient[dict[str, Any]](uri) as client:
            client["kept"]["things"].insert_many([{"_id": str(number)} for number in numbers])
            return sum(1 for _ in client["local"]["oplog.rs"].find({}, {"_id": 1}))

    async with EmbeddedDatabase(tmp_path / "data") as database:
        before = await asyncio.to_thread(store_and_count, database.uri, range(500))
    later = tmp_path / "sitecustomize.py"
    later.write_text("import time\nnow = time.time\ntime.time = lambda: now() + 7200\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    async with EmbeddedDatabase(tmp_path / "data") as database:
        assert await asyncio.to_thread(store_and_count, database.uri, range(500, 2000)) >= before + 1500


async def test_a_killed_child_is_replaced_on_the_same_port_with_its_data(tmp_path: Path) -> None:
    async with EmbeddedDatabase(tmp_path) as database:
        uri, first = database.uri, database.pid
        assert first is not None
        await asyncio.to_thread(insert, uri, "before")
        os.kill(first, signal.SIGKILL)
        await until(lambda: database.restarts == 1, "a new child")
        assert database.uri == uri
        assert database.pid not in {None, first}
        await asyncio.to_thread(insert, uri, "after")
        assert await asyncio.to_thread(names, uri) == ["after", "before"]


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"])


@pytest.mark.parametrize("has_pidfd", [True, False])
async def test_the_end_of_a_child_is_noticed_with_and_without_help_of_the_kernel(
    monkeypatch: pytest.MonkeyPatch, has_pidfd: bool
) -> None:
    def missing(_: int) -> int:
        raise OSError(errno.ENOSYS, "not implemented")

    if not has_pidfd:
        monkeypatch.setattr(os, "pidfd_open", missing)
    process = sleeper()
    assert not await ends_within(process, 0)
    ending = asyncio.create_task(ends_within(process, 60))
    await asyncio.sleep(0)
    process.kill()
    async with asyncio.timeout(10):
        assert await ending
        assert await ends_within(process, 60)


async def test_a_first_start_that_was_killed_halfway_is_made_again(tmp_path: Path) -> None:
    """A database killed while it creates its tables may never open again. It cannot hold any data."""
    first = EmbeddedDatabase(tmp_path)
    starting = asyncio.create_task(first.start())
    await until((tmp_path / "db.unfinished").exists, "the first start")
    starting.cancel()  # kills the child
    with pytest.raises(asyncio.CancelledError):
        await starting
    damage(tmp_path)
    async with EmbeddedDatabase(tmp_path) as database:
        await asyncio.to_thread(insert, database.uri, "a")
    async with EmbeddedDatabase(tmp_path) as again:
        assert await asyncio.to_thread(names, again.uri) == ["a"]


async def test_a_data_directory_that_was_ready_once_is_never_removed(tmp_path: Path) -> None:
    async with EmbeddedDatabase(tmp_path):
        pass
    damage(tmp_path)
    files = set((tmp_path / "db").iterdir())
    with pytest.raises(EmbeddedDatabaseError, match="ended at once"):
        await EmbeddedDatabase(tmp_path).start()
    assert set((tmp_path / "db").iterdir()) == files


async def test_no_write_after_the_first_start_creates_a_table(tmp_path: Path) -> None:
    async with EmbeddedDatabase(tmp_path) as database:
        before = set((tmp_path / "db").glob("*.wt"))
        with MongoClient[dict[str, object]](database.uri, timeoutMS=10_000) as client:
            for number in range(100):
                client[f"database-{number}"]["things"].insert_one({"_id": "a"})
        assert set((tmp_path / "db").glob("*.wt")) == before


async def test_stopping_during_a_restart_leaves_no_process(tmp_path: Path) -> None:
    others = children()
    database = EmbeddedDatabase(tmp_path)
    await database.start()
    first = database.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: database.pid not in {None, first}, "a new child, not yet ready")
    second = database.pid
    assert second is not None
    await database.stop()
    assert not is_running(second)
    assert children() == others


def test_the_child_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=clean_environment()
    )
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.kill()
        wait_until(lambda: not is_running(child), "the child's end")


def test_a_child_whose_parent_is_already_gone_does_not_start() -> None:
    nobody = subprocess.Popen([sys.executable, "-c", ""])
    nobody.wait()
    done = subprocess.run(
        [sys.executable, die_with_parent.__file__, str(nobody.pid), sys.executable, "-c", "print('ran')"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "the parent process is gone" in done.stderr


async def test_a_second_database_on_a_directory_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    async with EmbeddedDatabase(tmp_path) as database:
        await asyncio.to_thread(insert, database.uri, "a")
        before = children()
        with pytest.raises(EmbeddedDatabaseError, match="another gateway is using this data directory"):
            await EmbeddedDatabase(tmp_path).start()
        assert children() == before
        assert await asyncio.to_thread(names, database.uri) == ["a"]


async def test_a_database_that_outlived_its_gateway_is_not_opened_twice(tmp_path: Path) -> None:
    async with EmbeddedDatabase(tmp_path / "first"):
        (tmp_path / "second").mkdir()
        (tmp_path / "second" / "db").symlink_to(tmp_path / "first" / "db")
        with pytest.raises(EmbeddedDatabaseError, match="another gateway is using this data directory"):
            await EmbeddedDatabase(tmp_path / "second").start()


async def test_a_data_directory_just_released_can_be_taken_over(tmp_path: Path) -> None:
    first = EmbeddedDatabase(tmp_path)
    await first.start()
    second = EmbeddedDatabase(tmp_path)
    starting = asyncio.create_task(second.start())
    await asyncio.sleep(0)  # the first attempt
    await first.stop()
    await starting
    assert second.pid is not None
    await second.stop()


async def test_a_data_directory_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EmbeddedDatabaseError, match="cannot use the data directory"):
        await EmbeddedDatabase(tmp_path / "file" / "data").start()


async def test_a_missing_embedded_database_is_reported_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    with pytest.raises(EmbeddedDatabaseError, match=r"pip install 'turnwire\[embedded\]'"):
        await EmbeddedDatabase(tmp_path).start()


async def test_a_child_that_ends_at_once_is_explained_by_its_log(tmp_path: Path) -> None:
    before = children()
    with pytest.raises(EmbeddedDatabaseError, match="ended at once with status"):
        await EmbeddedDatabase(tmp_path, cache_size="nonsense").start()
    assert children() == before

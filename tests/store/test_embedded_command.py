"""Another program as the embedded database: found, tried before it is trusted, kept apart, watched, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from pymongo import MongoClient

from tests.support.processes import is_running, wait_until
from turnwire.store.embedded import child
from turnwire.store.embedded.directory_mark import DirectoryMark, keep_mark, read_mark
from turnwire.store.embedded.faults import EmbeddedDatabaseError
from turnwire.store.embedded.program import Engine, engine_of, environment, find_program, packaged_engine
from turnwire.store.embedded.server import EmbeddedDatabase
from turnwire.store.opening.format import FORMAT
from turnwire.store.opening.versions import this_version

pytestmark = pytest.mark.e2e

FORGETFUL = f"""#!{sys.executable}
# Answers as a MongoDB does, and keeps nothing: what it does is said by the words before its arguments.
import os, socketserver, struct, sys
import bson

STATUS = {{
    "silent": {{}},
    "forgets": {{"process": "other", "version": "1.0"}},
    "no-sync": {{"process": "other", "version": "1.0", "wiredTiger": {{"log": {{"log sync operations": 7}}}}}},
}}

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        while head := self.rfile.read(16):
            asked = bson.decode(self.rfile.read(struct.unpack("<i", head[:4])[0] - 16)[5:])
            answer = {{"ok": 1, "n": 1, "cursor": {{"id": 0, "firstBatch": []}}}}
            if "serverStatus" in asked:
                answer |= {{"pid": os.getpid(), **STATUS[sys.argv[1]]}}
            body = bson.encode(answer)
            self.wfile.write(struct.pack("<iiiiIB", 21 + len(body), 1, 0, 2013, 0, 0) + body)

if sys.argv[1] == "ends":
    sys.exit("unknown argument: --sync-on-commit")
if sys.argv[1] == "silent":
    import time
    time.sleep(60)
Server(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Connection).serve_forever()
"""


def script(folder: Path, text: str) -> str:
    path = folder / "a server"
    path.write_text(text)
    path.chmod(0o700)
    return f"'{path}'"


def wrapper(folder: Path) -> str:
    """The packaged server, as another program."""
    return script(folder, f'#!/bin/sh\nexec {find_program(None).command[0]} "$@"\n')


def insert(uri: str, name: str) -> None:
    with MongoClient[dict[str, object]](uri, w="majority", journal=True, timeoutMS=10_000) as client:
        client["kept"]["things"].insert_one({"_id": name})


def names(uri: str) -> list[str]:
    with MongoClient[dict[str, object]](uri, timeoutMS=10_000) as client:
        return sorted(str(document["_id"]) for document in client["kept"]["things"].find())


async def test_another_server_is_run_restarted_and_stopped_and_its_trial_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with EmbeddedDatabase(folder, command=wrapper(tmp_path)) as database:
        await asyncio.to_thread(insert, database.uri, "a")
        first = database.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await asyncio.to_thread(wait_until, lambda: database.restarts == 1, "a new child")
        assert await asyncio.to_thread(names, database.uri) == ["a"]
        second = database.pid
        assert second is not None
    assert not is_running(second)
    assert not (folder / "trial").exists()
    assert read_mark(folder) == DirectoryMark(FORMAT, this_version(), packaged_engine().version)  # as without a command


async def test_a_server_does_not_open_the_directory_of_another(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "WiredTiger").write_text("of the other")
    keep_mark(tmp_path, Engine("SecantusDB rust", "0.5"))
    with pytest.raises(EmbeddedDatabaseError, match=r"written by another database server, SecantusDB rust 0\.5"):
        await EmbeddedDatabase(tmp_path).start()
    assert [path.read_text() for path in (tmp_path / "db").iterdir()] == ["of the other"]


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("forgets", r"other 1\.0 lost 4 of 4 acknowledged writes when killed"),
        ("no-sync", r"other 1\.0 acknowledged 3 writes and synced its log 0 times"),
        ("ends", r"ended at once with status 1: unknown argument: --sync-on-commit; the command of TURNWIRE_EMBEDDED"),
        (
            "silent",
            r"did not answer on port \d+ of 127\.0\.0\.1 in 0\.5 s; the command of TURNWIRE_EMBEDDED",
        ),
    ],
)
async def test_an_unsuitable_server_is_refused_before_anything_is_stored(
    behaviour: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if behaviour == "silent":
        monkeypatch.setattr(child, "READY_SECONDS", 0.5)
    with pytest.raises(EmbeddedDatabaseError, match=said):
        await EmbeddedDatabase(tmp_path / "data", command=f"{script(tmp_path, FORGETFUL)} {behaviour}").start()
    assert not (tmp_path / "data" / "db").exists()
    assert not (tmp_path / "data" / "trial").exists()


async def test_a_script_that_only_waits_for_the_server_is_refused_and_leaves_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "STRANGER_POLLS", 1)
    told = tmp_path / "pid"
    waiting = f'#!/bin/sh\n{script(tmp_path, FORGETFUL)} forgets "$@" &\necho $! >{told}\nwait\n'
    (tmp_path / "waiting").write_text(waiting)
    (tmp_path / "waiting").chmod(0o700)
    with pytest.raises(EmbeddedDatabaseError, match="must start the server with exec"):
        await EmbeddedDatabase(tmp_path / "data", command=str(tmp_path / "waiting")).start()
    assert not is_running(int(told.read_text()))


async def test_a_missing_server_program_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedDatabaseError, match="TURNWIRE_EMBEDDED_COMMAND: there is no program no-such-server"):
        await EmbeddedDatabase(tmp_path, command="no-such-server --fast").start()


def test_a_command_may_have_arguments_of_its_own(tmp_path: Path) -> None:
    program = find_program(f"{script(tmp_path, '')} --write-tickets 2")
    assert program.command == (str(tmp_path / "a server"), "--write-tickets", "2")
    assert not program.is_packaged


def test_no_variable_from_outside_makes_a_server_less_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECANTUS_WT_CONFIG_EXTRA", "transaction_sync=(enabled=false)")
    monkeypatch.setenv("SECANTUS_FORCE_DURABLE", "0")
    given = {name: value for name, value in environment().items() if name.startswith("SECANTUS_")}
    assert given == {"SECANTUS_FORCE_DURABLE": "1"}
    assert environment()["PATH"] == os.environ["PATH"]


def test_a_server_is_identified_by_what_it_answers() -> None:
    rust = {"secantus": {"server": "rust", "version": "0.5.3-beta.196"}, "process": "mongod", "version": "8.0"}
    assert str(engine_of(rust)) == "SecantusDB rust 0.5.3-beta.196"
    assert engine_of({"process": "mongod", "version": "8.0"}) == Engine("mongod", "8.0")
    assert str(engine_of({})) == "unknown"

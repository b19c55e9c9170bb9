"""`turnwire serve` as a process: its start, its end, and what it says when it cannot run."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.processes import GatewayProcess, clean_environment, is_running, wait_until
from turnwire.cli import app
from turnwire.store.embedded.server import EmbeddedDatabase
from turnwire.version import __version__

pytestmark = pytest.mark.e2e

COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]


def call(method: str, url: str, body: object = None, timeout: float = 20) -> tuple[int, Any]:
    """The status and the decoded body of the answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def status(url: str) -> int:
    return call("GET", url)[0]


def turnwire(*args: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """A run that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "turnwire", *args],
        cwd=cwd,
        env=clean_environment(env),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def subscriber_that_never_answers(gateway: GatewayProcess) -> socket.socket:
    """An open WebSocket whose client takes no part in the closing handshake."""
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(
        b"GET /subscribe HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert connection.recv(1000).startswith(b"HTTP/1.1 101")
    return connection


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """A process that exists and does nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_serve_says_where_it_listens_and_ends_with_its_database_on_sigterm(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway:
        assert len([line for line in gateway.lines if "turnwire listening on" in line]) == 1
        assert status(f"{gateway.url}/health/live") == 200
        wait_until(lambda: status(f"{gateway.url}/health/ready") == 200, "the gateway's readiness")
        database = gateway.database_pid
        assert gateway.terminate() == 0
        assert not is_running(database)
        assert "Traceback" not in gateway.output


def test_ctrl_c_stops_serve_gracefully(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway:
        database = gateway.database_pid
        assert gateway.interrupt() == 0
        assert not is_running(database)
        assert "Traceback" not in gateway.output


def test_the_database_dies_with_a_killed_serve_and_the_next_start_finds_every_session(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway:

        def search() -> Any:
            return call("GET", f"{gateway.url}/sessions?q=marmalade")[1]

        made = call("POST", f"{gateway.url}/sessions", {"sessionId": "s1", "language": "en"})
        wait_until(lambda: "speech" in search()["searched"], "the search")
        call("GET", f"{gateway.url}/sessions")  # for which the search writes what it knows
        past = {"sessionId": "past", "language": "en", "startedAt": "2024-05-01T10:00:00Z"}  # older than a start looks
        for path, body in ("", past), ("/past/complete", {"status": "failed"}):
            assert call("POST", f"{gateway.url}/sessions{path}", body)[0] == 200
        assert call("PATCH", f"{gateway.url}/sessions/past", {"metadata": {"outcome": "marmalade"}})[0] == 200
        database = gateway.database_pid
        gateway.kill()
        wait_until(lambda: not is_running(database), "the database's end")
        gateway.start()
        status_code, session = call("GET", f"{gateway.url}/sessions/s1")
        assert status_code == made[0] == 200
        assert session["startedAt"] == made[1]["startedAt"]
        wait_until(lambda: "speech" in search()["searched"], "the search")
        assert [each["sessionId"] for each in search()["sessions"]] == ["past"]


def test_a_killed_database_is_restarted_under_a_running_gateway(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway:
        first = gateway.database_pid
        os.kill(first, signal.SIGKILL)
        gateway.wait_for_line("the embedded database answers again")
        wait_until(lambda: status(f"{gateway.url}/health/ready") == 200, "the gateway's readiness")
        assert gateway.database_pid != first
        assert gateway.terminate() == 0


def test_a_second_signal_ends_serve_at_once(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway, closing(subscriber_that_never_answers(gateway)):
        database = gateway.database_pid
        gateway.process.send_signal(signal.SIGTERM)
        gateway.wait_for_line("stopping")
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.wait() == 128 + signal.SIGTERM
        wait_until(lambda: not is_running(database), "the database's end")


def test_sigterm_ends_serve_within_ten_seconds_whatever_clients_do(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway, closing(subscriber_that_never_answers(gateway)):
        before = time.monotonic()
        assert gateway.terminate() == 0
        assert time.monotonic() - before < 10


def test_sigterm_ends_serve_within_ten_seconds_even_if_its_database_hangs(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway:
        assert call("POST", f"{gateway.url}/sessions", {"sessionId": "s1", "language": "en"})[0] == 200
        database = gateway.database_pid
        with paused(database):
            before = time.monotonic()
            assert gateway.terminate() == 0
            assert time.monotonic() - before < 10
            assert not is_running(database)


async def test_serve_listens_while_the_database_is_away_and_serves_when_it_comes(tmp_path: Path) -> None:
    async with EmbeddedDatabase(tmp_path / "database") as database:
        assert database.pid is not None
        with paused(database.pid), GatewayProcess(tmp_path / "gateway", mongodb_uri=database.uri) as gateway:
            assert status(f"{gateway.url}/health/live") == 200
            assert status(f"{gateway.url}/health/ready") == 503
            gateway.wait_for_line("no answer from the database")
            os.kill(database.pid, signal.SIGCONT)
            wait_until(lambda: status(f"{gateway.url}/health/ready") == 200, "the gateway's readiness")
            assert call("POST", f"{gateway.url}/sessions", {"language": "en"})[0] == 200
            assert gateway.terminate() == 0


def test_serve_stays_up_without_a_database_and_logs_that_without_the_password(tmp_path: Path) -> None:
    uri = "mongodb://me:secret@127.0.0.1:1/?serverSelectionTimeoutMS=200&timeoutMS=500"
    with GatewayProcess(tmp_path, mongodb_uri=uri) as gateway:
        assert "mongodb://me:***@127.0.0.1:1" in gateway.wait_for_line("no answer from the database")
        assert status(f"{gateway.url}/health/ready") == 503
        assert status(f"{gateway.url}/health/live") == 200
        assert gateway.terminate() == 0
        assert "secret" not in gateway.output


def test_the_bytes_of_a_request_that_is_not_http_do_not_reach_the_log(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway:
        host, _, port = gateway.url.removeprefix("http://").partition(":")
        with closing(socket.create_connection((host, int(port)))) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nbearer-of-secrets\x00: x\r\n\r\n")
            assert b" 400 Bad Request" in connection.recv(1000)
        assert gateway.terminate() == 0
        assert "Traceback" not in gateway.output
        assert "bearer-of-secrets" not in gateway.output


def test_serve_reports_a_port_in_use_in_one_line(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        ended = turnwire("serve", "--port", str(port), "--data-dir", str(tmp_path / "data"), cwd=tmp_path)
    assert ended.returncode == 1
    assert f"turnwire: cannot listen on 127.0.0.1 port {port}: Address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_serve_reports_a_data_directory_in_use_in_one_line(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway:
        ended = turnwire("serve", "--port", "0", "--data-dir", str(tmp_path), cwd=tmp_path)
        assert ended.returncode == 1
        assert "turnwire: another gateway is using this data directory" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert status(f"{gateway.url}/health/live") == 200


@pytest.mark.parametrize(
    ("args", "env", "said"),
    [
        (["--port", "70000"], {}, "wrong setting: PORT: must be less than or equal to 65535"),
        ([], {"TURNWIRE_MAX_DEPTH": "deep"}, "wrong setting: TURNWIRE_MAX_DEPTH: must be a valid integer"),
        ([], {"MONGODB_URI": "mongodb://me:secret@db:notaport/"}, "wrong setting: MONGODB_URI"),
    ],
)
def test_serve_names_a_wrong_setting(args: list[str], env: dict[str, str], said: str, tmp_path: Path) -> None:
    ended = turnwire("serve", *args, cwd=tmp_path, **env)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "secret" not in ended.stderr


def test_the_printed_version_is_that_of_the_package(tmp_path: Path) -> None:
    ended = turnwire("--version", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, f"turnwire {__version__}\n")


def test_help_lists_every_command_and_shows_how_to_start(tmp_path: Path) -> None:
    ended = turnwire("--help", cwd=tmp_path)
    assert ended.returncode == 0
    assert "\n      turnwire serve\n" in ended.stdout
    assert set(COMMANDS) <= set(ended.stdout.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"], prog_name="turnwire")
    assert result.exit_code == 0
    assert f"turnwire {command}" in result.stdout.partition("\n")[2]

"""The commands that use a gateway, which is a process, as are the commands that go on for a while."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from tests.support.processes import ROOT, GatewayProcess, running_python, wait_until
from turnwire.cli import app

pytestmark = pytest.mark.e2e

DEMO_CALLS = ROOT / "turnwire" / "data" / "demo.ndjson"
CALLS = [json.loads(line) for line in DEMO_CALLS.read_text("utf-8").splitlines()]
EVENTS = sum(len(call["events"]) for call in CALLS)


@pytest.fixture(scope="module")
def gateway(database_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One gateway for this file. Each test uses its own sessions."""
    with start_gateway(database_uri, tmp_path_factory.mktemp("gateway")) as process:
        yield process


def start_gateway(database_uri: str, data_dir: Path, port: int = 0, **env: str) -> GatewayProcess:
    database = f"test-{uuid4().hex}"
    return GatewayProcess(data_dir, mongodb_uri=database_uri, mongodb_database=database, port=port, env=env)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def running(*args: str, url: str, **env: str) -> AbstractContextManager[subprocess.Popen[str]]:
    return running_python("-m", "turnwire", *args, env={"TURNWIRE_URL": url, **env})


@contextmanager
def typing(line: str) -> Iterator[subprocess.Popen[str]]:
    """A command as the demo names it, typed in the demo's folder without an active virtual environment."""
    with subprocess.Popen(
        ["/bin/sh", "-c", f"exec {line}"], cwd=ROOT, env={"PATH": "/usr/bin:/bin"}, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def turnwire(*args: str, url: str, status: int = 0, **env: str) -> str:
    """Return what the command writes, run in this process. It must end with this status."""
    result = CliRunner(env={"TURNWIRE_URL": url, **env}).invoke(app, args, prog_name="turnwire")
    assert result.exit_code == status, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.stdout if status == 0 else result.output


def summary(text: str) -> dict[str, str]:
    """Return the table that a replay ends with."""
    return {line[:26].strip(): line[26:].strip() for line in text.splitlines()}


def check_whole(gateway: GatewayProcess, prefix: str) -> None:
    found = turnwire("verify", "--expect", str(DEMO_CALLS), "--prefix", prefix, url=gateway.url)
    assert f"{len(CALLS)} sessions, {EVENTS} events: none missing, none doubled" in found


# replay


def test_replaying_a_recording_again_adds_no_events(gateway: GatewayProcess) -> None:
    replay = ["replay", str(DEMO_CALLS), "--speed", "0", "--prefix", "twice-"]
    first = summary(turnwire(*replay, url=gateway.url))
    assert first["acks"] == first["events"] == str(EVENTS)
    assert first["duplicates, stored before"] == first["nacks"] == first["without an answer"] == "0"
    assert first["ack latency p50, p95, p99"].endswith(" ms")
    check_whole(gateway, "twice-")

    second = summary(turnwire(*replay, "--encoding", "msgpack", url=gateway.url))
    assert second["acks"] == second["duplicates, stored before"] == str(EVENTS)
    check_whole(gateway, "twice-")


def test_replaying_into_sessions_past_their_grace_time_adds_no_events(database_uri: str, tmp_path: Path) -> None:
    with start_gateway(database_uri, tmp_path, TURNWIRE_END_GRACE="0") as gateway:
        replay = ["replay", str(DEMO_CALLS), "--speed", "0"]
        turnwire(*replay, url=gateway.url)
        second = summary(turnwire(*replay, url=gateway.url))
        assert second["acks"] == second["duplicates, stored before"] == str(EVENTS)
        check_whole(gateway, "")


def test_a_replay_keeps_the_pace_of_the_recorded_calls(gateway: GatewayProcess) -> None:
    began = time.monotonic()
    turnwire("replay", str(DEMO_CALLS), "--calls", "1", "--speed", "20", "--prefix", "paced-", url=gateway.url)
    assert time.monotonic() - began > CALLS[0]["events"][-1]["offsetMs"] / 1000 / 20


def test_a_replay_survives_a_killed_gateway(database_uri: str, tmp_path: Path) -> None:
    with (
        start_gateway(database_uri, tmp_path, port=free_port()) as gateway,
        running("replay", str(DEMO_CALLS), "--speed", "12", url=gateway.url) as replay,
    ):
        for _ in range(2):
            wait_for_events(gateway, 5)
            gateway.kill()
            gateway.start()
        out, err = replay.communicate(timeout=50)
        assert replay.returncode == 0, out + err
        assert summary(out)["acks"] == str(EVENTS)
        check_whole(gateway, "")


def test_a_killed_replay_is_completed_by_running_it_again(gateway: GatewayProcess) -> None:
    with running("replay", str(DEMO_CALLS), "--speed", "10", "--prefix", "again-", url=gateway.url) as replay:
        wait_until(lambda: "again-" in turnwire_sessions(gateway), "a session of the replay")
        replay.kill()
    turnwire("replay", str(DEMO_CALLS), "--speed", "40", "--prefix", "again-", url=gateway.url)
    check_whole(gateway, "again-")


def test_a_replay_without_completing_leaves_its_sessions_open(gateway: GatewayProcess) -> None:
    turnwire("replay", str(DEMO_CALLS), "--speed", "0", "--prefix", "open-", "--no-complete", url=gateway.url)
    assert turnwire_sessions(gateway, "status=active").count("open-") == len(CALLS)


def test_a_refused_event_makes_the_replay_fail(gateway: GatewayProcess, tmp_path: Path) -> None:
    call = json.loads(json.dumps(CALLS[0]))
    file = tmp_path / "calls.ndjson"
    file.write_text(json.dumps(call))
    turnwire("replay", str(file), "--speed", "0", "--prefix", "changed-", url=gateway.url)
    call["events"][3]["payload"]["text"] = "Something else"
    file.write_text(json.dumps(call))
    said = turnwire("replay", str(file), "--speed", "0", "--prefix", "changed-", url=gateway.url, status=1)
    assert summary(said)["nacks"] == "1"
    assert "changed-demo-restaurant: 14 of 15 events stored: 1 nack, the first for demo-restaurant-004" in said
    faults = turnwire("verify", "--expect", str(file), "--prefix", "changed-", url=gateway.url, status=1)
    assert "seq 4, 'demo-restaurant-004', is not what was recorded" in faults


def turnwire_sessions(gateway: GatewayProcess, query: str = "limit=100") -> str:
    with urllib.request.urlopen(f"{gateway.url}/sessions?{query}", timeout=20) as response:
        body: str = response.read().decode()
        return body


def wait_for_events(gateway: GatewayProcess, more: int) -> None:
    """Wait until that many events have been added."""

    def stored() -> int:
        return sum(session["lastSeq"] for session in json.loads(turnwire_sessions(gateway))["sessions"])

    began = stored()
    wait_until(lambda: stored() >= began + more, f"{more} more events")


# tail


def test_tail_prints_a_session_as_a_transcript(gateway: GatewayProcess) -> None:
    turnwire("replay", str(DEMO_CALLS), "--speed", "0", "--prefix", "tailed-", url=gateway.url)
    lines = turnwire("tail", "tailed-demo-werkstatt", url=gateway.url).splitlines()
    assert len(lines) == len(CALLS[-1]["events"]) + 1
    assert lines[0].split(maxsplit=1)[1] == '·    call.started {"from":"+49 30 5550 7711"}'
    assert lines[2].split(maxsplit=1)[1] == (
        "user Grüß Gott, an meinem Lastenrad schleift die hintere Bremse. Wann könnte ich vorbeikommen?"
    )
    assert lines[-1].startswith("completed (user_hangup) at ")

    events = turnwire("tail", "tailed-demo-werkstatt", "--after-seq", "14", "--json", url=gateway.url).splitlines()
    assert [json.loads(event)["seq"] for event in events] == [15, 16]


def test_tail_follows_a_live_session_to_its_end(gateway: GatewayProcess) -> None:
    replay = ["replay", str(DEMO_CALLS), "--calls", "1", "--speed", "15", "--prefix", "live-"]
    with running(*replay, url=gateway.url):
        wait_until(lambda: "live-demo-restaurant" in turnwire_sessions(gateway), "the session")
        lines = turnwire("tail", "live-demo-restaurant", url=gateway.url).splitlines()
    assert len(lines) == len(CALLS[0]["events"]) + 1


def test_tail_prints_each_change_of_a_session_as_a_line(gateway: GatewayProcess) -> None:
    turnwire("replay", str(DEMO_CALLS), "--speed", "0", "--prefix", "fed-", url=gateway.url)
    with running("tail", "--status", "completed", url=gateway.url) as tail:
        assert tail.stdout is not None
        line = tail.stdout.readline()
    assert "completed" in line
    assert line.endswith((" event\n", " events\n"))  # the newest call may belong to another test


def test_text_in_events_cannot_control_the_terminal(gateway: GatewayProcess, tmp_path: Path) -> None:
    nasty = {"text": "\x1b[2J\x07 gone\r\nnext \u202e", "final": True}
    event = {"eventId": "e1", "type": "user_speech", "payload": nasty, "offsetMs": 0}
    file = tmp_path / "calls.ndjson"
    file.write_text(json.dumps({"sessionId": "nasty", "language": "en", "events": [event]}))
    turnwire("replay", str(file), url=gateway.url)
    first = turnwire("tail", "nasty", url=gateway.url).splitlines()[0].rstrip()
    assert first.endswith("user  [2J  gone  next")


# verify


def test_verify_all_checks_every_session(gateway: GatewayProcess) -> None:
    turnwire("replay", str(DEMO_CALLS), "--speed", "0", "--prefix", "all-", "--calls", "1", url=gateway.url)
    one = turnwire("verify", "all-demo-restaurant", url=gateway.url)
    assert one == "1 session, 15 events: none missing, none doubled\n"
    assert "none missing, none doubled" in turnwire("verify", "--all", url=gateway.url)


def test_verify_reports_events_of_a_recording_that_are_missing(gateway: GatewayProcess) -> None:
    said = turnwire("verify", "--expect", str(DEMO_CALLS), "--prefix", "never-", url=gateway.url, status=1)
    assert "never-demo-parcel: there is no such session" in said
    assert f"{EVENTS} missing" in said


# demo


def test_demo_once_ignores_the_configured_database() -> None:
    with running("demo", "--once", "--port", "0", url="", MONGODB_URI="mongodb://127.0.0.1:1") as demo:
        said, errors = demo.communicate(timeout=50)
    assert (demo.returncode, said) == (0, f"{len(CALLS)} calls, {EVENTS} events: {EVENTS} stored\n"), errors


def test_the_demo_reports_a_port_in_use(gateway: GatewayProcess) -> None:
    port = gateway.url.rpartition(":")[2]
    with running("demo", "--once", "--port", port, url="") as demo:
        _, said = demo.communicate(timeout=50)
    assert demo.returncode == 1
    assert said.startswith("turnwire: ")
    assert port in said
    assert said.count("\n") == 1


def test_the_demo_streams_until_it_is_interrupted(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running("demo", "--port", "0", "--data-dir", str(data), url="") as demo:
        assert demo.stdout is not None
        said = ""
        while "table booking" not in said:
            line = demo.stdout.readline()
            assert line, said
            said += line
        url = said.split()[0].rstrip("/")
        for wanted in (f"{url}/", f"{url}/docs", "turnwire tail", "curl", "Ctrl-C"):
            assert wanted in said
        typed = next(line.strip() for line in said.splitlines() if line.endswith(f" tail --url {url}"))
        with typing(f"{typed} --json") as tail:
            assert tail.stdout is not None
            assert json.loads(tail.stdout.readline())["sessionId"].startswith("demo-")
        demo.send_signal(signal.SIGINT)
        said, errors = demo.communicate(timeout=15)
    assert (demo.returncode, errors, said.splitlines()[-1]) == (0, "", "The demo ends.")
    assert "publisher" not in said
    assert data.is_dir()


# mistakes


@pytest.mark.parametrize("args", [["replay", str(DEMO_CALLS)], ["tail"], ["tail", "x"], ["verify", "--all"]])
def test_without_a_gateway_a_command_prints_one_line_that_says_what_to_do(args: list[str]) -> None:
    said = turnwire(*args, url="http://127.0.0.1:1", status=1)
    assert said == (
        "turnwire: cannot reach http://127.0.0.1:1: connection refused; "
        "start a gateway with `turnwire serve`, or name another one with --url\n"
    )


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["replay", "/nowhere/calls.ndjson"], "turnwire: cannot read /nowhere/calls.ndjson: No such file or directory"),
        (["replay", str(ROOT / "LICENSE")], "line 1: "),
        (["tail", "nobody"], "turnwire: Session nobody not found"),
        (["tail", "nobody", "--url", "{url}/elsewhere"], "there is no Turnwire gateway here"),
        (["verify", "nobody", "--expect", str(DEMO_CALLS)], "turnwire: there is no session 'nobody' in "),
    ],
)
def test_a_mistake_on_the_command_line_prints_one_line(gateway: GatewayProcess, args: list[str], said: str) -> None:
    args = [arg.replace("{url}", gateway.url) for arg in args]
    output = turnwire(*args, url=gateway.url, status=1)
    assert said in output
    assert output.count("\n") == 1


def test_a_wrong_url_is_a_usage_error() -> None:
    said = turnwire("tail", "--url", "localhost:3000", url="", status=2)
    assert "is not the URL of a gateway, such as http://localhost:3000" in said.replace("\n", " ")

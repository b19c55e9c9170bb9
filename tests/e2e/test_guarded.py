"""`turnwire serve` with and without keys: when it refuses to start, what it warns of, and how keys are changed."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support.credentials import key_line, make_key, write_keys
from tests.support.processes import GatewayProcess, running_python, wait_until

pytestmark = pytest.mark.e2e


def status(url: str, credential: str | None = None) -> int:
    headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            code: int = answer.status
            return code
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def refused_to_start(data_dir: Path, **env: str) -> str:
    """Return what `turnwire serve` prints. It must end at once, with only a message."""
    settings = {"TURNWIRE_DATA_DIR": str(data_dir), "PORT": "0", **env}
    with running_python("-m", "turnwire", "serve", env=settings, stderr=subprocess.STDOUT) as process:
        said, _ = process.communicate(timeout=30)
        assert process.returncode != 0
    assert "Traceback" not in said
    return str(said)


def test_serving_a_public_address_without_keys_is_refused_and_both_remedies_are_named(tmp_path: Path) -> None:
    said = refused_to_start(tmp_path, HOST="0.0.0.0")
    assert "TURNWIRE_AUTH=none" in said
    assert "TURNWIRE_API_KEYS_FILE" in said
    assert list(tmp_path.iterdir()) == [], "nothing was started"


def test_serving_a_public_address_without_authentication_warns_in_the_log_and_on_the_page(tmp_path: Path) -> None:
    env = {"HOST": "0.0.0.0", "TURNWIRE_AUTH": "none", "TURNWIRE_ALLOWED_HOSTS": "*"}
    with GatewayProcess(tmp_path, env=env) as gateway:
        assert "anyone who reaches this gateway" in gateway.wait_for_line("TURNWIRE_AUTH=none")
        with urllib.request.urlopen(gateway.url, timeout=10) as page:
            assert 'role="alert">TURNWIRE_AUTH=none on 0.0.0.0: anyone' in page.read().decode()


def test_sighup_admits_a_new_key_and_refuses_a_removed_one(tmp_path: Path) -> None:
    old, line = make_key("old")
    new, added = make_key("new")
    keys = write_keys(tmp_path / "keys", line)
    with GatewayProcess(tmp_path / "data", env={"TURNWIRE_API_KEYS_FILE": str(keys)}) as gateway:
        url = f"{gateway.url}/sessions/nowhere"
        assert [status(url), status(url, old), status(url, new)] == [401, 404, 401]
        write_keys(keys, added)
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: status(url, new) == 404, "the new key")
        assert status(url, old) == 401
        rows = [json.loads(each) for each in gateway.lines if each.startswith("{") and '"audit"' in each]
        assert [row["reason"] for row in rows if row["audit"] == "refused"][:2] == ["no_credential", "unknown_key"]
        assert old not in gateway.output
        assert new not in gateway.output


def test_every_command_of_a_client_takes_its_token_from_the_environment(tmp_path: Path) -> None:
    key, line = make_key("bots", "session:create session:publish session:complete session:read session:list")
    calls = tmp_path / "calls.ndjson"
    event = {"eventId": "e1", "type": "user_speech", "payload": {"text": "hello"}, "offsetMs": 0}
    calls.write_text(json.dumps({"sessionId": "call", "language": "en", "events": [event]}))
    env = {"TURNWIRE_API_KEYS_FILE": str(write_keys(tmp_path / "keys", line))}
    with GatewayProcess(tmp_path / "data", env=env) as gateway:

        def said(*command: str, **more: str) -> tuple[str, int]:
            settings = {"TURNWIRE_URL": gateway.url, **more}
            with running_python("-m", "turnwire", *command, env=settings, stderr=subprocess.STDOUT) as process:
                return str(process.communicate(timeout=30)[0]), process.returncode

        commands = (["replay", str(calls), "--speed", "0"], ["tail", "call"], ["verify", "--all"], ["verify", "call"])
        for command in commands:
            text, code = said(*command, TURNWIRE_TOKEN=key)
            assert (code, "hello" in text) == (0, command[0] == "tail"), text
        text, code = said("verify", "--all")
        assert code != 0
        assert "TURNWIRE_TOKEN" in text


def test_revocations_survive_a_restart(tmp_path: Path) -> None:
    admin, line = make_key("root", "admin")
    other, second = make_key("other", "session:list")
    keys = write_keys(tmp_path / "keys", line, second)
    with GatewayProcess(tmp_path / "data", env={"TURNWIRE_API_KEYS_FILE": str(keys)}) as gateway:
        headers = {"Authorization": f"Bearer {admin}", "Content-Type": "application/json"}
        body = json.dumps({"key": "other"}).encode()
        request = urllib.request.Request(f"{gateway.url}/revocations", body, headers, method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 204
        assert status(f"{gateway.url}/sessions", other) == 401
        gateway.kill()
        gateway.start()
        assert status(f"{gateway.url}/sessions", other) == 401
        assert status(f"{gateway.url}/sessions", admin) == 200


def test_a_key_file_that_others_may_read_is_refused_at_the_start(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(key_line(make_key()[0]))
    keys.chmod(0o644)
    assert "TURNWIRE_API_KEYS_FILE" in refused_to_start(tmp_path / "data", TURNWIRE_API_KEYS_FILE=str(keys))

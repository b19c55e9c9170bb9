"""`turnwire key` and `turnwire dashboard`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.support.credentials import Clock
from turnwire.cli import app
from turnwire.gateway.access.credentials.keys import ApiKeys

TOKEN = "eyJhbGciOiJIUzI1NiJ9.e30.x-_"


def turnwire(*args: str, **env: str) -> Result:
    return CliRunner().invoke(app, args, env={"TURNWIRE_URL": "", "TURNWIRE_TOKEN": "", **env})


def test_the_line_printed_by_turnwire_key_admits_the_key_shown_with_it(tmp_path: Path) -> None:
    made = turnwire("key", "bot", "--scope", "session:publish  session:create", "--sessions", "call-*, x")
    assert made.exit_code == 0, made.output
    [shown] = [word for word in made.stderr.split() if word.startswith("tw_")]
    path = tmp_path / "keys"
    path.write_text(made.stdout)
    path.chmod(0o600)
    principal = ApiKeys(path, Clock()).authenticate(shown)
    assert principal.id == "key:bot"
    assert set(principal.scopes) == {"session:publish", "session:create"}
    assert principal.sessions == ("call-*", "x")
    assert principal.expires_at is None
    assert shown.rpartition("_")[2] not in made.stdout


def test_lines_of_turnwire_key_can_be_appended_and_expire(tmp_path: Path) -> None:
    lines = [turnwire("key", name, "--scope", "metrics", "--days", "30").stdout for name in ("a", "b")]
    path = tmp_path / "keys"
    path.write_text("".join(lines))
    path.chmod(0o600)
    keys = ApiKeys(path, Clock())
    assert keys.has("a")
    assert keys.has("b")
    assert all('"expiresAt":"2' in line for line in lines)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("a b", "--scope", "metrics"), "is not an id"),
        (("bot", "--scope", "session:reed"), "there is no scope"),
        (("bot", "--scope", " "), "at least one scope"),
        (("bot",), "--scope"),
    ],
)
def test_turnwire_key_with_a_mistake_prints_no_key(args: tuple[str, ...], said: str) -> None:
    failed = turnwire("key", *args)
    assert failed.exit_code == 2
    assert said in failed.output
    assert "tw_" not in failed.output


def test_the_dashboard_link_has_the_token_after_its_hash() -> None:
    assert turnwire("dashboard").stdout == "http://127.0.0.1:3000/\n"
    linked = turnwire("dashboard", "--url", "wss://gw.example.com/voice/", TURNWIRE_TOKEN=TOKEN)
    assert linked.stdout == f"https://gw.example.com/voice/#token={TOKEN}\n"


@pytest.mark.parametrize("command", [("tail",), ("export", "calls.ndjson"), ("webhook", "list")])
@pytest.mark.parametrize("token", ["a b", "tök", "key\r"])
def test_a_command_refuses_a_token_that_no_request_can_carry_in_one_line(command: tuple[str, ...], token: str) -> None:
    refused = turnwire(*command, "--url", "http://127.0.0.1:1", TURNWIRE_TOKEN=token)
    assert refused.exit_code == 2, refused.output
    assert "a token must consist of visible ASCII characters" in " ".join(refused.stderr.split())
    assert token not in refused.output


@pytest.mark.parametrize("args", [("--token", "a b"), ("--token", "a&b"), ("--url", "ftp://x")])
def test_turnwire_dashboard_refuses_an_invalid_token_or_url(args: tuple[str, ...]) -> None:
    assert turnwire("dashboard", *args).exit_code == 2

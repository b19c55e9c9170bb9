"""Settings: where they come from, what is refused and how, and that the documents list them as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from tests.support.processes import ROOT
from turnwire.gateway.config import Config, ConfigError, environment_name, load_config
from turnwire.gateway.config.rate import OFF, Rate
from turnwire.protocol.messages import Limits

ENV_EXAMPLE_HEAD = """\
# All settings of the gateway, with their defaults. Copy this file to .env and change what you need; the environment
# wins over .env, and options of `turnwire serve` win over both. Times are in seconds, sizes in bytes.
"""


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in Config.model_fields:
        monkeypatch.delenv(environment_name(field), raising=False)
    monkeypatch.chdir(tmp_path)


def shown(field: FieldInfo) -> str:
    """Return a default as it would be written in the environment."""
    return (
        ""
        if field.default is None
        else f"{field.default:g}"
        if isinstance(field.default, float)
        else str(field.default)
    )


def test_default_limits_are_those_of_the_protocol() -> None:
    config = Config()
    assert config.limits == Limits()
    assert (config.host, config.port, config.mongodb_uri) == ("127.0.0.1", 3000, None)
    assert (config.end_grace, config.abandon_after, config.storage_timeout) == (30, 300, 30)
    assert (config.ping_interval, config.pong_timeout, config.slow_pong_timeout) == (20, 10, 60)


def test_an_override_wins_over_the_environment_and_the_environment_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("HOST=file\nPORT=1001\nTURNWIRE_MAX_DEPTH=7\nUNRELATED=x\n")
    monkeypatch.setenv("HOST", "environment")
    monkeypatch.setenv("PORT", "1002")
    config = load_config(port=1003, host=None)
    assert (config.host, config.port, config.max_depth) == ("environment", 1003, 7)
    assert load_config(env_file=None).max_depth == 64


def test_an_empty_environment_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "")
    monkeypatch.setenv("PORT", "")
    assert (load_config().mongodb_uri, load_config().port) == (None, 3000)


@pytest.mark.parametrize(
    ("uri", "database"),
    [
        ("mongodb://db/conversation-service", "conversation-service"),
        ("mongodb://me:p%2Fw@db1,db2:27018/calls?replicaSet=rs0", "calls"),
        ("mongodb+srv://db.example.com/calls", "calls"),
        ("mongodb://db", "turnwire"),
        ("mongodb://db/?replicaSet=rs0", "turnwire"),
        ("mongodb://me:pw@db/admin", "turnwire"),
    ],
)
def test_a_database_named_in_the_uri_is_used_unless_another_is_set(
    uri: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", uri)
    assert load_config().mongodb_database == database
    monkeypatch.setenv("MONGODB_DATABASE", "mine")
    assert load_config().mongodb_database == "mine"


def test_a_setting_has_one_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNWIRE_PORT", "tcp://10.0.0.7:3000")  # as Kubernetes does for a service called turnwire
    monkeypatch.setenv("MAX_DEPTH", "7")
    assert (load_config().port, load_config().max_depth) == (3000, 64)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Config().port = 4000  # type: ignore[misc]


OF_THE_PROTOCOL = {"id_chars", "event_bytes", "frame_bytes", "depth", "metadata_bytes", "batch_events", "in_flight"}
OF_THE_PROCESS = {"live_sessions", "subscriptions", "webhooks", "webhook_sessions"}


def test_zero_turns_off_each_bound_on_what_clients_may_use() -> None:
    bounds = {name for name in Config.model_fields if name.startswith(("max_", "rate_"))}
    bounds -= {f"max_{name}" for name in OF_THE_PROTOCOL | OF_THE_PROCESS}
    zeros: dict[str, Any] = dict.fromkeys(bounds, "0")
    off = Config(**zeros)
    assert min(off.outbox_bytes, off.waiting_bytes) > 2**60
    assert len(bounds) == 27


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "http", "PORT: must be a valid integer (given: 'http')"),
        ("PORT", "65536", "PORT: must be less than or equal to 65535 (given: '65536')"),
        ("TURNWIRE_MAX_DEPTH", "0", "TURNWIRE_MAX_DEPTH: must be greater than or equal to 1 (given: '0')"),
        ("TURNWIRE_DRAIN_TIMEOUT", "10", "TURNWIRE_DRAIN_TIMEOUT: must be less than or equal to 9 (given: '10')"),
        ("TURNWIRE_PING_INTERVAL", "nan", "TURNWIRE_PING_INTERVAL: must be"),
        ("TURNWIRE_LOG_LEVEL", "loud", "TURNWIRE_LOG_LEVEL: must be 'debug', 'info', 'warning' or 'error'"),
        ("TURNWIRE_EMBEDDED_CACHE", "big", "TURNWIRE_EMBEDDED_CACHE: must be a number of mebibytes or gibibytes"),
        ("TURNWIRE_EMBEDDED_COMMAND", "it's", "TURNWIRE_EMBEDDED_COMMAND: must be a command, quoted as for a shell"),
        ("TURNWIRE_EMBEDDED_COMMAND", " ", "TURNWIRE_EMBEDDED_COMMAND: must be a command, such as"),
        ("TURNWIRE_ALLOWED_ORIGINS", "https://a.example, b", "TURNWIRE_ALLOWED_ORIGINS: 'b' is not an origin"),
        ("TURNWIRE_ALLOWED_ORIGINS", "null", "TURNWIRE_ALLOWED_ORIGINS: 'null' is not an origin"),
        ("TURNWIRE_ALLOWED_ORIGINS", "*", "TURNWIRE_ALLOWED_ORIGINS: '*' is not an origin"),
        ("TURNWIRE_ALLOWED_HOSTS", "https://a.example", "TURNWIRE_ALLOWED_HOSTS: 'https://a.example' is not a host"),
        ("TURNWIRE_TRUSTED_PROXIES", "10.0.0.0/8, lb", "TURNWIRE_TRUSTED_PROXIES: 'lb' is not an address or network"),
        ("TURNWIRE_AUTH", "maybe", "TURNWIRE_AUTH: must be 'required' or 'none' (given: 'maybe')"),
        ("TURNWIRE_JWKS", "http://idp.example/keys", "TURNWIRE_JWKS: must be a path or an https:// URL"),
        ("TURNWIRE_RATE_EVENTS", "many", "TURNWIRE_RATE_EVENTS: must be PER_SECOND/BURST"),
        ("TURNWIRE_RATE_EVENTS", "\u0663/\u0663", "TURNWIRE_RATE_EVENTS: must be PER_SECOND/BURST"),
        ("TURNWIRE_ALLOWED_HOSTS", "a.example:\u0663", "TURNWIRE_ALLOWED_HOSTS: "),
        ("TURNWIRE_RATE_FAILED_LOGINS", "10/hour", "TURNWIRE_RATE_FAILED_LOGINS: must be PER_SECOND/BURST"),
        ("MONGODB_DATABASE", "a.b", "MONGODB_DATABASE: must be 1 to 63 letters"),
        ("TURNWIRE_MAX_OUTBOX_BYTES", "1023", "TURNWIRE_MAX_OUTBOX_BYTES: must be 0 or at least 1024"),
        ("TURNWIRE_MAX_WAITING_BYTES", "1", "TURNWIRE_MAX_WAITING_BYTES: must be 0 or at least 1048576"),
        ("TURNWIRE_MAX_EVENT_BYTES", "2000000", "TURNWIRE_MAX_EVENT_BYTES (2000000) must not be over"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as refused:
        load_config()
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


def test_every_wrong_setting_has_its_own_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "x")
    monkeypatch.setenv("TURNWIRE_MAX_DEPTH", "y")
    with pytest.raises(ConfigError) as refused:
        load_config()
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == ["PORT", "TURNWIRE_MAX_DEPTH"]


def test_an_error_about_a_mongodb_uri_does_not_repeat_it() -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(mongodb_uri="postgres://me:secret@db")
    assert str(refused.value) == "MONGODB_URI: must start with mongodb:// or mongodb+srv://"
    assert "hidden" not in repr(load_config(mongodb_uri="mongodb://me:hidden@db"))


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("ALLOWED_ORIGINS", "", ""),
        ("ALLOWED_ORIGINS", " https://A.example , http://localhost:8080,", "https://a.example,http://localhost:8080"),
        ("ALLOWED_HOSTS", "Gateway.example.com, 10.0.0.7:3000, [::1]", "gateway.example.com,10.0.0.7:3000,[::1]"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8,unix, 127.0.0.1", "10.0.0.0/8,fd00::/8,unix,127.0.0.1"),
    ],
)
def test_settings_that_are_lists_are_normalized(
    name: str, given: str, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"TURNWIRE_{name}", given)
    assert getattr(load_config(), name.lower()) == kept


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        ("500/2000", Rate(500, 2000)),
        ("0.5/3", Rate(0.5, 3)),
        ("30/min", Rate(0.5, 30)),
        ("0", OFF),
        ("0/10", OFF),
        ("5/0", OFF),
    ],
)
def test_a_rate_setting_has_a_number_per_second_and_a_burst(given: str, rate: Rate) -> None:
    assert load_config(rate_events=given).rate("events") == rate


def test_an_error_about_the_key_set_url_does_not_repeat_it() -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(jwks="https://me:secret@idp.example/keys")
    assert "secret" not in str(refused.value)


def test_any_credential_setting_counts_as_a_configured_key() -> None:
    assert not load_config().has_keys
    assert all(load_config(None, **{name: "x"}).has_keys for name in ("api_keys_file", "jwt_secret_file", "jwks"))


def test_every_setting_has_a_description() -> None:
    for name, field in Config.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_env_example_lists_every_setting_with_its_default() -> None:
    expected = ENV_EXAMPLE_HEAD + "".join(
        f"\n# {field.description}\n#{environment_name(name)}={shown(field)}\n"
        for name, field in Config.model_fields.items()
    )
    assert (ROOT / ".env.example").read_text() == expected

"""Whether a gateway requires credentials, and with which settings it must not start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from turnwire.gateway.access.mode import choose_mode
from turnwire.gateway.config import Config, ConfigError

KEYS: dict[str, Any] = {"api_keys_file": Path("keys")}
PUBLIC: dict[str, Any] = {"host": "0.0.0.0", "allowed_hosts": "gateway.example.com"}


@pytest.mark.parametrize("keys", [KEYS, {"jwt_secret_file": Path("secret")}, {"jwks": "keys.json"}])
@pytest.mark.parametrize("bind", [{}, PUBLIC])
def test_any_configured_key_makes_credentials_required(keys: dict[str, Any], bind: dict[str, Any]) -> None:
    assert choose_mode(Config(**keys, **bind)) == (True, None)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.1", "localhost", "::1", "[::1]", "unix:/run/turnwire.sock", "/run/t"]
)
def test_without_keys_a_loopback_bind_is_open(host: str) -> None:
    assert choose_mode(Config(host=host)) == (False, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "gateway.example.com", "localhost.example.com"])
def test_without_keys_a_public_bind_is_refused_and_both_remedies_are_named(host: str) -> None:
    with pytest.raises(ConfigError) as refused:
        choose_mode(Config(host=host, allowed_hosts="gateway.example.com"))
    assert host in str(refused.value)
    assert "TURNWIRE_API_KEYS_FILE" in str(refused.value)
    assert "TURNWIRE_AUTH=none" in str(refused.value)


def test_auth_none_on_a_public_bind_gives_a_warning() -> None:
    mode = choose_mode(Config(auth="none", **PUBLIC))
    assert not mode.required
    assert mode.warning is not None
    assert "TURNWIRE_AUTH=none" in mode.warning


def test_auth_none_overrides_keys_and_gives_no_warning_on_loopback() -> None:
    assert choose_mode(Config(auth="none", **KEYS)) == (False, None)


def test_auth_required_without_keys_is_refused() -> None:
    with pytest.raises(ConfigError, match="TURNWIRE_AUTH is required"):
        choose_mode(Config(auth="required"))


def test_a_public_bind_without_allowed_hosts_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"TURNWIRE_ALLOWED_HOSTS is required with HOST 0\.0\.0\.0"):
        choose_mode(Config(host="0.0.0.0", **KEYS))

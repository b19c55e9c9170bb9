"""Whether the gateway needs credentials, and whether it may start that way."""

from __future__ import annotations

from typing import NamedTuple

from turnwire.gateway.access.hosts import is_local_bind
from turnwire.gateway.config import Config, ConfigError


class Mode(NamedTuple):
    """How the gateway is protected."""

    required: bool
    """Whether a credential is needed."""
    warning: str | None
    """A warning to log at the start and every ten minutes, and to show on the dashboard; None if there is none."""


def choose_mode(config: Config) -> Mode:
    """Return how this gateway is protected. Raises ConfigError if it must not start that way."""
    local = is_local_bind(config.host)
    required = config.has_keys if config.auth is None else config.auth == "required"
    if required and not config.has_keys:
        raise ConfigError(
            "TURNWIRE_AUTH is required, but no keys to check credentials are configured; set TURNWIRE_API_KEYS_FILE "
            "(make a key with `turnwire key`), TURNWIRE_JWT_SECRET_FILE or TURNWIRE_JWKS"
        )
    if not required and not local and config.auth is None:
        raise ConfigError(
            f"HOST {config.host} can be reached from other machines, and anyone there could do anything; either "
            "configure keys: TURNWIRE_API_KEYS_FILE (make one with `turnwire key`), TURNWIRE_JWT_SECRET_FILE or "
            "TURNWIRE_JWKS; or confirm that this is intended: TURNWIRE_AUTH=none"
        )
    if not local and not config.allowed_hosts:
        raise ConfigError(
            f"TURNWIRE_ALLOWED_HOSTS is required with HOST {config.host}: the names that clients use for this gateway, "
            "such as gateway.example.com"
        )
    if required or local:
        return Mode(required, None)
    return Mode(
        required=False,
        warning=f"TURNWIRE_AUTH=none on {config.host}: anyone who reaches this gateway can read, change and erase "
        "everything",
    )

"""Whether credentials are asked for, and whether the gateway may start so."""

from __future__ import annotations

from typing import NamedTuple

from turnwire.gateway.access.hosts import is_local_bind
from turnwire.gateway.config import Config, ConfigError


class Mode(NamedTuple):
    """How the gateway is guarded."""

    required: bool
    """Whether a credential is needed."""
    warning: str | None
    """What is to be logged at the start and every ten minutes, and shown by the dashboard; None when all is well."""


def choose_mode(config: Config) -> Mode:
    """How this gateway is guarded. Raises ConfigError when it must not start so."""
    local = is_local_bind(config.host)
    required = config.has_keys if config.auth is None else config.auth == "required"
    if required and not config.has_keys:
        raise ConfigError(
            "TURNWIRE_AUTH is required, but nothing is there to judge a credential by; set TURNWIRE_API_KEYS_FILE "
            "(make a key with `turnwire key`), TURNWIRE_JWT_SECRET_FILE or TURNWIRE_JWKS"
        )
    if not required and not local and config.auth is None:
        raise ConfigError(
            f"HOST {config.host} can be reached from other machines, and anyone there could do anything; either "
            "configure keys: TURNWIRE_API_KEYS_FILE (make one with `turnwire key`), TURNWIRE_JWT_SECRET_FILE or "
            "TURNWIRE_JWKS; or say that it is meant: TURNWIRE_AUTH=none"
        )
    if not local and not config.allowed_hosts:
        raise ConfigError(
            f"TURNWIRE_ALLOWED_HOSTS is required with HOST {config.host}: the names that clients use for this gateway, "
            "as in gateway.example.com"
        )
    if required or local:
        return Mode(required, None)
    return Mode(
        required=False,
        warning=f"TURNWIRE_AUTH=none on {config.host}: whoever reaches this gateway may read, change and erase it all",
    )

"""All parts of access, made from the settings."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from turnwire.gateway.access.audit import Audit
from turnwire.gateway.access.credentials.credentials import Credentials
from turnwire.gateway.access.credentials.fetching import fetch
from turnwire.gateway.access.credentials.keys import ApiKeys, KeysError
from turnwire.gateway.access.credentials.minting import Minting
from turnwire.gateway.access.credentials.revocations import Revocations, SharedRevocations
from turnwire.gateway.access.credentials.secret import JwtSecret, SecretError, read_secret
from turnwire.gateway.access.door import Door
from turnwire.gateway.access.enders import Enders
from turnwire.gateway.access.guests import Reception
from turnwire.gateway.access.mode import Mode, choose_mode
from turnwire.gateway.access.rates import Rates
from turnwire.gateway.config import Config, ConfigError

if TYPE_CHECKING:
    from turnwire.gateway.access.credentials.jwks import Fetch, KeySource

REFRESH_SECONDS = 2.0
"""How often `Access.refresh` must be called so that connections of revoked credentials are closed within 5 s."""


class Access(Struct, frozen=True):
    """All parts of access. Belongs to the event loop that uses it."""

    mode: Mode
    door: Door
    rates: Rates
    audit: Audit
    credentials: Credentials | None
    """None without authentication."""
    revocations: Revocations
    minting: Minting
    enders: Enders
    reception: Reception
    """Makes the guests of connections and streams."""

    async def refresh(self, *, force: bool = False) -> None:
        """Read changed API keys and new revocations. Call this every REFRESH_SECONDS, and with `force` on SIGHUP."""
        if self.credentials is not None and await self.credentials.refresh(force=force):
            self.audit.keys_changed()

    async def refresh_key_set(self, *, force: bool = False) -> None:
        """Renew the JWKS if it is due, which may take 5 s. Call this every REFRESH_SECONDS, apart from `refresh`."""
        if self.credentials is not None:
            await self.credentials.refresh_key_set(force=force)


def build_access(
    config: Config,
    log: SharedRevocations,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], float] = time.time,
    fetch: Fetch = fetch,
) -> Access:
    """Make the parts for these settings. `clock` is monotonic, `now` counts from 1970; both in seconds.

    Raises ConfigError for settings the gateway must not start with, and for key files that cannot be used.
    """
    mode = choose_mode(config)
    rates = Rates(config, clock, on=mode.required)
    audit = Audit(clock)
    revocations = Revocations(log)
    secret = _secret(config) if config.jwt_secret_file is not None else None
    credentials = None
    if mode.required:
        credentials = _credentials(config, secret, revocations, clock=clock, now=now, fetch=fetch)
    return Access(
        mode=mode,
        door=Door(config, rates, audit, credentials),
        rates=rates,
        audit=audit,
        credentials=credentials,
        revocations=revocations,
        minting=Minting(secret, config.jwt_issuer, config.jwt_audience, now),
        enders=Enders(audit),
        reception=Reception(rates, audit, credentials, now),
    )


def _secret(config: Config) -> JwtSecret:
    assert config.jwt_secret_file is not None
    try:
        return read_secret(config.jwt_secret_file)
    except SecretError as error:
        raise ConfigError(f"TURNWIRE_JWT_SECRET_FILE: {error}") from None


def _credentials(
    config: Config,
    secret: JwtSecret | None,
    revocations: Revocations,
    *,
    clock: Callable[[], float],
    now: Callable[[], float],
    fetch: Fetch,
) -> Credentials:
    try:
        keys = None if config.api_keys_file is None else ApiKeys(config.api_keys_file, now)
        source = None if config.jwks is None else _key_source(config.jwks, fetch, clock)
    except KeysError as error:
        raise ConfigError(f"TURNWIRE_API_KEYS_FILE: {error}") from None
    tokens = None
    if secret is not None or source is not None:
        from turnwire.gateway.access.credentials.tokens import Tokens  # noqa: PLC0415 -- jwt takes 40 ms to import

        tokens = Tokens(secret, source, config.jwt_issuer, config.jwt_audience)
    return Credentials(keys, tokens, source, revocations, now)


def _key_source(where: str, fetch: Fetch, clock: Callable[[], float]) -> KeySource:
    """Return the source of this file or URL. Raises ConfigError."""
    from turnwire.gateway.access.credentials.jwks import (  # noqa: PLC0415 -- jwt takes 40 ms to import
        JwksError,
        KeySetFile,
        KeySetUrl,
    )

    try:
        return KeySetUrl(where, fetch, clock) if "://" in where else KeySetFile(Path(where))
    except JwksError as error:
        raise ConfigError(f"TURNWIRE_JWKS: {error}") from None

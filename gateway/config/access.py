"""Access settings: who may use the gateway, from where, and how often."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, field_validator

from turnwire.gateway.config.rate import Rate, parse_rate
from turnwire.gateway.config.sources import Settings

Auth = Literal["required", "none"]
Network = IPv4Network | IPv6Network

_ORIGIN: Final = re.compile(r"https?://[a-z0-9.\-_\[\]:]+")
_HOST: Final = re.compile(r"\*|(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
UNIX_PEER: Final = "unix"
"""The name, among trusted proxies, for clients that connect by a UNIX socket."""

RATES: Final = (
    "events",
    "signals",
    "commands",
    "control_frames",
    "requests",
    "anonymous_requests",
    "failed_logins",
    "created_sessions",
    "handshakes",
)
"""The names of the settings `rate_…`."""


def _listed(value: str) -> list[str]:
    return [each.strip().lower() for each in value.split(",") if each.strip()]


class AccessSettings(Settings):
    """Settings for the checks that every request must pass."""

    auth: Auth | None = Field(
        None,
        description="required or none. Default: required if any key is configured, else none, which is then possible "
        "only on a loopback address.",
    )
    api_keys_file: Path | None = Field(
        None, description="File of API keys, one JSON object per line, as `turnwire key` prints them."
    )
    jwt_secret_file: Path | None = Field(
        None, description="File with a secret of at least 32 bytes, with which HS256 tokens are signed and minted."
    )
    jwks: str | None = Field(None, description="Path or https URL of a JWKS, the public keys to verify tokens with.")
    jwt_issuer: str | None = Field(None, min_length=1, description="The iss that tokens must have.")
    jwt_audience: str | None = Field(None, min_length=1, description="The aud that tokens must have.")
    allowed_origins: str = Field(
        "", description="Origins of web pages besides the gateway's own that may use it, separated by commas."
    )
    allowed_hosts: str = Field(
        "",
        description="Host names that the gateway answers to, separated by commas; * for any. "
        "Default: loopback names. Required on a public address.",
    )
    trusted_proxies: str = Field(
        "",
        description="Addresses or networks of proxies whose X-Forwarded-For, -Proto and -Prefix are trusted, "
        "separated by commas; unix for a UNIX socket.",
    )
    hsts: int = Field(
        0, ge=0, le=63_072_000, description="Seconds for Strict-Transport-Security; 0 leaves the header out."
    )
    webhook_allow_private: bool = Field(
        False, description="Whether webhooks may go to private addresses and to http:// URLs."
    )

    rate_events: str = Field("500/2000", description="Events of a publisher; over the rate, the publisher is not read.")
    rate_signals: str = Field(
        "100/200", description="Signals of a publisher; over the rate, the newest of each key waits."
    )
    rate_commands: str = Field("50/200", description="Commands and JSON pings of a subscriber.")
    rate_control_frames: str = Field("10/50", description="WebSocket control frames of a connection.")
    rate_requests: str = Field("1000/1000", description="REST requests of a principal.")
    rate_anonymous_requests: str = Field("20/20", description="REST requests without a credential from an address.")
    rate_failed_logins: str = Field("10/min", description="Refused credentials from an address.")
    rate_created_sessions: str = Field("200/200", description="Sessions created by a principal.")
    rate_handshakes: str = Field("50/50", description="Handshakes without a valid credential from an address.")

    @field_validator("jwks")
    @classmethod
    def _is_path_or_https(cls, value: str | None) -> str | None:
        if value is not None and "://" in value and not re.fullmatch(r"https://[^/@\s]+(/\S*)?", value):
            raise ValueError("must be a path or an https:// URL without a password")
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        for origin in (origins := _listed(value)):
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is not an origin such as https://dashboard.example.com")
        return ",".join(origins)

    @field_validator("allowed_hosts")
    @classmethod
    def _are_hosts(cls, value: str) -> str:
        for host in (hosts := _listed(value)):
            if not _HOST.fullmatch(host):
                raise ValueError(f"{host!r} is not a host such as gateway.example.com or 10.0.0.7:3000")
        return ",".join(hosts)

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for proxy in (proxies := _listed(value)):
            if proxy != UNIX_PEER:
                try:
                    ip_network(proxy)
                except ValueError:
                    raise ValueError(f"{proxy!r} is not an address or network such as 10.0.0.0/8") from None
        return ",".join(proxies)

    @field_validator(*(f"rate_{name}" for name in RATES))
    @classmethod
    def _is_rate(cls, value: str) -> str:
        parse_rate(value)
        return value.strip()

    @property
    def has_keys(self) -> bool:
        """Whether keys are configured that credentials can be checked with."""
        return any((self.api_keys_file, self.jwt_secret_file, self.jwks))

    def rate(self, name: str) -> Rate:
        """Return the rate in the setting `rate_<name>`."""
        text: str = getattr(self, f"rate_{name}")
        return parse_rate(text)

"""Every setting of the gateway: its environment name, default, bounds and what it is for.

Times are in seconds, sizes in bytes. The environment wins over `.env`, options of the command line win over both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings.sources import PydanticBaseEnvSettingsSource

from turnwire.protocol.messages import Limits

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "console", "json"]

_PLAIN_NAMES: Final = {"host", "port", "mongodb_uri", "mongodb_database"}
_KIB: Final = 1024
_MIB: Final = 1024 * 1024
_DATABASE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")
_CACHE_SIZE: Final = re.compile(r"[1-9][0-9]*[MG]")
_ORIGIN: Final = re.compile(r"https?://[^/?#\s,]+")


def environment_name(field: str) -> str:
    """The environment variable that sets this field of Config."""
    return field.upper() if field in _PLAIN_NAMES else f"TURNWIRE_{field.upper()}"


class _OneName(PydanticBaseEnvSettingsSource):
    """Looks a field up under its environment name alone.

    With aliases and a prefix there would be a second name, TURNWIRE_PORT for one, which Kubernetes sets to a URL for
    any service called turnwire.
    """

    env_vars: Mapping[str, str | None]

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self.env_vars.get(self._apply_case_sensitive(environment_name(field_name))), field_name, False


class _Environment(_OneName, EnvSettingsSource):
    pass


class _EnvFile(_OneName, DotEnvSettingsSource):
    pass


class ConfigError(Exception):
    """A setting has a value that cannot be used. The text names the variable and is for people."""


class Config(BaseSettings):
    """All settings, fixed for the life of the process. `Config()` reads the environment, `load_config` also `.env`."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True, validate_default=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        env_file = dotenv_settings.env_file if isinstance(dotenv_settings, DotEnvSettingsSource) else None
        return init_settings, _Environment(settings_cls), _EnvFile(settings_cls, env_file, "utf-8")

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(3000, ge=0, le=65535, description="Port to listen on; 0 takes any.")
    mongodb_uri: str | None = Field(
        None,
        repr=False,
        description="The MongoDB replica set or cluster. Without it an embedded database is started.",
    )
    mongodb_database: str = Field("turnwire", description="Name of the database that holds sessions and events.")
    data_dir: Path = Field(Path("turnwire-data"), description="Folder of the embedded database.")
    embedded_cache: str = Field("256M", description="Cache of the embedded database, as in 256M or 1G.")
    log_level: LogLevel = Field("info", description="debug, info, warning or error.")
    log_format: LogFormat = Field(
        "auto", description="console, json, or auto: console on a terminal and json elsewhere."
    )
    cors_origins: str = Field(
        "*", description="Origins that may call REST from a browser, separated by commas; * for all."
    )

    max_id_chars: int = Field(256, ge=36, le=1024, description="Longest sessionId and eventId, in characters.")
    max_event_bytes: int = Field(128 * _KIB, ge=_KIB, le=8 * _MIB, description="Largest event as sent, in bytes.")
    max_frame_bytes: int = Field(_MIB, ge=_KIB, le=8 * _MIB, description="Largest frame or REST body, in bytes.")
    max_depth: int = Field(64, ge=1, le=90, description="Deepest nesting of a payload or of metadata.")
    max_metadata_bytes: int = Field(64 * _KIB, ge=2, le=_MIB, description="Largest metadata of a session, in bytes.")
    max_batch_events: int = Field(500, ge=1, le=5000, description="Most events in one append.")
    max_in_flight: int = Field(
        256, ge=1, le=100_000, description="Most events of one publisher without an ack; then it is not read."
    )
    max_outbox_bytes: int = Field(_MIB, ge=_KIB, le=256 * _MIB, description="Most bytes held for one slow connection.")
    max_waiting_bytes: int = Field(
        256 * _MIB,
        ge=_MIB,
        le=64 * 1024 * _MIB,
        description="Most bytes of events that wait for the storage, in all sessions.",
    )
    max_connections: int = Field(20_000, ge=1, le=1_000_000, description="Most WebSocket connections.")
    max_live_sessions: int = Field(50_000, ge=1, le=10_000_000, description="Most sessions held in memory.")
    max_subscriptions: int = Field(1000, ge=1, le=100_000, description="Most subscriptions of one connection.")

    end_grace: float = Field(
        30, ge=0, le=86_400, description="How long after its end a session still takes events, in seconds."
    )
    abandon_after: float = Field(
        300, gt=0, le=604_800, description="A session without publisher or event for this many seconds ends as failed."
    )
    expire_after: float = Field(
        86_400,
        ge=0,
        le=31_536_000,
        description="A session without any event for this many seconds ends as failed, publisher or not; 0: never.",
    )
    storage_timeout: float = Field(
        30, gt=0, le=3600, description="Longest wait of a publisher's event for the storage, in seconds."
    )
    rest_timeout: float = Field(
        10, gt=0, le=3600, description="Longest wait of a REST write for the storage, in seconds."
    )
    ping_interval: float = Field(20, gt=0, le=3600, description="Seconds between pings to a connection.")
    pong_timeout: float = Field(10, gt=0, le=3600, description="Seconds to wait for a pong before closing.")
    slow_pong_timeout: float = Field(
        60, gt=0, le=3600, description="The same for a subscriber that still has frames to read, in seconds."
    )
    flush_interval: float = Field(
        3, gt=0, le=60, description="Seconds between writes of what changed on session documents."
    )
    idle_evict: float = Field(
        60, gt=0, le=86_400, description="Seconds an unused session stays in memory before it may leave."
    )
    drain_timeout: float = Field(
        8, gt=0, le=9, description="Seconds given to settle what is in flight when the gateway is told to stop."
    )
    feed_interval: float = Field(
        0.25, gt=0, le=60, description="Least seconds between two changes of one session on a feed."
    )
    header_timeout: float = Field(10, gt=0, le=600, description="Seconds a client has to send a request's headers.")
    reconnect_after: float = Field(
        0.5, ge=0, le=600, description="Seconds a client is asked to wait before it reconnects after a goaway."
    )

    @field_validator("mongodb_uri")
    @classmethod
    def _is_mongodb_uri(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("must start with mongodb:// or mongodb+srv://")
        return value

    @field_validator("mongodb_database")
    @classmethod
    def _is_database_name(cls, value: str) -> str:
        if not _DATABASE_NAME.fullmatch(value):
            raise ValueError("must be 1 to 63 letters, digits, - and _")
        return value

    @field_validator("embedded_cache")
    @classmethod
    def _is_cache_size(cls, value: str) -> str:
        if not _CACHE_SIZE.fullmatch(value):
            raise ValueError("must be a number of mebibytes or gibibytes, as in 256M or 1G")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        origins = [origin.strip() for origin in value.split(",") if origin.strip()]
        if origins != ["*"]:
            for origin in origins:
                if not _ORIGIN.fullmatch(origin):
                    raise ValueError(f"{origin!r} is not an origin such as https://dashboard.example.com, and not *")
        return ",".join(origins)

    @model_validator(mode="after")
    def _event_fits_frame(self) -> Self:
        if self.max_event_bytes > self.max_frame_bytes:
            raise ValueError(
                f"TURNWIRE_MAX_EVENT_BYTES ({self.max_event_bytes}) must not be over "
                f"TURNWIRE_MAX_FRAME_BYTES ({self.max_frame_bytes})"
            )
        return self

    @property
    def limits(self) -> Limits:
        """The limits a client meets, in the protocol's terms."""
        return Limits(
            id_chars=self.max_id_chars,
            event_bytes=self.max_event_bytes,
            frame_bytes=self.max_frame_bytes,
            depth=self.max_depth,
            metadata_bytes=self.max_metadata_bytes,
            batch_events=self.max_batch_events,
            in_flight=self.max_in_flight,
        )


def load_config(env_file: Path | None = Path(".env"), **overrides: Any) -> Config:
    """The settings from `.env`, the environment and, above both, the overrides that are not None.

    Raises ConfigError with one line for each wrong value.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Config(_env_file=env_file, **given)
    except ValidationError as error:
        raise ConfigError("\n".join(_wrong_values(error))) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{env_file} is not UTF-8 text") from None


def _wrong_values(error: ValidationError) -> list[str]:
    lines = []
    for wrong in error.errors(include_url=False):
        message = wrong["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        message = message.partition(", unable to parse")[0]
        if not wrong["loc"]:
            lines.append(message)
            continue
        name = environment_name(str(wrong["loc"][0]))
        # A URI may hold a password, so what was given is not repeated.
        given = "" if name == "MONGODB_URI" else f" (given: {str(wrong['input'])[:100]!r})"
        lines.append(f"{name}: {message}{given}")
    return lines

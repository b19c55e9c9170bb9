"""Process settings: where it listens, its database, its logs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import unquote

from pydantic import Field, field_validator, model_validator

from turnwire.gateway.config.sources import Settings

LogLevel = Literal["debug", "info", "warning", "error"]
Switch = Literal["on", "off"]
LogFormat = Literal["auto", "console", "json"]

_DATABASE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")
_METADATA_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CACHE_SIZE: Final = re.compile(r"[1-9][0-9]*[MG]")

_REDIS_SCHEMES: Final = ("redis://", "rediss://", "redis+sentinel://", "rediss+sentinel://", "unix://")


DEFAULT_DATABASE: Final = "turnwire"
_DATABASES_OF_MONGODB: Final = ("admin", "config", "local")
"""Databases that a URI may name for authentication, and that hold no application's data."""


def database_in(uri: str) -> str | None:
    """Return the name of the database in a MongoDB URI; None if it names none, or one of MongoDB's own."""
    path = uri.partition("://")[2].partition("?")[0].partition("/")[2]
    name = unquote(path)
    return None if not name or name in _DATABASES_OF_MONGODB else name


class ServerSettings(Settings):
    """Settings for the process."""

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(3000, ge=0, le=65535, description="Port to listen on; 0 takes any.")
    mongodb_uri: str | None = Field(
        None,
        repr=False,
        description="URI of the MongoDB replica set or cluster. Without it, an embedded database is started.",
    )
    mongodb_database: str = Field(
        DEFAULT_DATABASE,
        description="Name of the database that holds sessions and events. It overrides a name in MONGODB_URI.",
    )
    redis_url: str | None = Field(
        None, repr=False, description="URL of the Redis or Valkey server through which gateways inform each other."
    )
    redis_host: str | None = Field(None, description="Host of that server, if there is no REDIS_URL.")
    redis_port: int = Field(6379, ge=1, le=65535, description="Port of that server, with REDIS_HOST.")
    data_dir: Path = Field(Path("turnwire-data"), description="Folder of the embedded database.")
    embedded_cache: str = Field("256M", description="Cache size of the embedded database, such as 256M or 1G.")
    embedded_command: str | None = Field(
        None,
        description="Another server to run as the embedded database, with the arguments of the packaged one.",
    )
    insert_lanes: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Concurrent inserts of events. Default: 8, or 1 on the packaged database server. A single lane "
        "gets a second one under load.",
    )
    figures: Switch = Field("on", description="Whether figures of sessions are computed, and stored when they end.")
    search: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether an index in the data folder serves search and filters; auto: only with the embedded "
        "database. Without the index, that database reads whole sessions for each list, and large metadata holds up "
        "other clients.",
    )
    metadata_indexes: str = Field(
        "customerId,userId,callSid,bot,agent",
        description="Metadata keys for which MongoDB has an index, separated by commas.",
    )
    tracing: Switch = Field(
        "off",
        description="Whether requests, commits and calls are traced by OpenTelemetry, as the OTEL_* variables say: "
        "docs/tracing.md.",
    )
    log_level: LogLevel = Field("info", description="debug, info, warning or error.")
    log_format: LogFormat = Field("auto", description="console, json, or auto: console on a terminal, else json.")

    @field_validator("mongodb_uri")
    @classmethod
    def _is_mongodb_uri(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("must start with mongodb:// or mongodb+srv://")
        return value

    @model_validator(mode="before")
    @classmethod
    def _database_of_the_uri(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Take the database from MONGODB_URI, unless MONGODB_DATABASE is set."""
        uri = given.get("mongodb_uri")
        name = database_in(uri) if isinstance(uri, str) and given.get("mongodb_database") is None else None
        return given if name is None else {**given, "mongodb_database": name}

    @field_validator("redis_url")
    @classmethod
    def _is_redis_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(_REDIS_SCHEMES):
            raise ValueError("must start with redis://, rediss://, redis+sentinel://, rediss+sentinel:// or unix://")
        return value

    @field_validator("mongodb_database")
    @classmethod
    def _is_database_name(cls, value: str) -> str:
        if not _DATABASE_NAME.fullmatch(value):
            raise ValueError("must be 1 to 63 letters, digits, - and _")
        return value

    @field_validator("metadata_indexes")
    @classmethod
    def _are_keys(cls, value: str) -> str:
        keys = [key.strip() for key in value.split(",") if key.strip()]
        for key in keys:
            if not _METADATA_KEY.fullmatch(key):
                raise ValueError(f"{key!r} must be 1 to 64 letters, digits, - and _")
        return ",".join(keys)

    @field_validator("embedded_cache")
    @classmethod
    def _is_cache_size(cls, value: str) -> str:
        if not _CACHE_SIZE.fullmatch(value):
            raise ValueError("must be a number of mebibytes or gibibytes, such as 256M or 1G")
        return value

    @field_validator("embedded_command")
    @classmethod
    def _is_command(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                words = shlex.split(value)
            except ValueError as error:
                raise ValueError(f"must be a command, quoted as for a shell: {error}") from None
            if not words:
                raise ValueError("must be a command, such as /usr/local/bin/secantusd-rs")
        return value

    @property
    def bus_url(self) -> str | None:
        """The URL of the Redis server; None without one."""
        if self.redis_url is not None or self.redis_host is None:
            return self.redis_url
        host = f"[{self.redis_host}]" if ":" in self.redis_host else self.redis_host
        return f"redis://{host}:{self.redis_port}"

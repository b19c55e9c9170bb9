"""Settings of the process: where it listens, its database, its logs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, field_validator

from turnwire.gateway.config.sources import Settings

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "console", "json"]

_DATABASE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")
_CACHE_SIZE: Final = re.compile(r"[1-9][0-9]*[MG]")


class ServerSettings(Settings):
    """What the process is made of."""

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

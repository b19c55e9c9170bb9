"""Settings for how long sessions are kept."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from turnwire.gateway.config.sources import Settings


class KeepingSettings(Settings):
    """Settings for the retention of sessions."""

    retention_days: float = Field(
        0,
        ge=0,
        le=36_500,
        description="Days after its end until a session is erased or archived; 0 means never.",
    )
    retention_interval: float = Field(
        3600, ge=1, le=604_800, description="Seconds between two looks for sessions that are due."
    )
    retention_rules: Path | None = Field(
        None, description="File (TOML) of sessions that are kept for a longer or shorter time: docs/deploy/keeping.md."
    )
    archive_url: str | None = Field(
        None,
        description="Where sessions are archived instead of erased: `file:///…`, `s3://…`, `gs://…` or `az://…`.",
    )
    archive_cache_bytes: int = Field(
        64 * 1024 * 1024, ge=0, le=2**40, description="Maximum bytes of archived events that are held in memory."
    )
    archive_cache_seconds: float = Field(
        300, ge=0, le=86_400, description="Seconds for which archived events stay in memory after they are read."
    )

"""Settings for how long sessions are kept."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from turnwire.gateway.config.sources import Settings


class KeepingSettings(Settings):
    """Settings for the retention of sessions."""

    retention_days: float = Field(
        0, ge=0, le=36_500, description="Days after their end after which sessions are erased; 0 means never."
    )
    retention_interval: float = Field(
        3600, ge=1, le=604_800, description="Seconds between two looks at sessions that are to be erased."
    )
    retention_rules: Path | None = Field(
        None, description="File (TOML) of sessions that are kept longer, or not so long: docs/deploy/keeping.md."
    )

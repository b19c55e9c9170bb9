"""Reasons why the embedded database cannot be started. Each text gives the reason and the remedy."""

from __future__ import annotations

from pathlib import Path


class EmbeddedDatabaseError(Exception):
    """The embedded database cannot be started."""


class PortTaken(EmbeddedDatabaseError):
    """Another process was quicker to listen on the port."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"port {port} of {host} was taken by another process")


class DirectoryLocked(EmbeddedDatabaseError):
    """Another process holds the data directory."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"another gateway is using this data directory: {path}")

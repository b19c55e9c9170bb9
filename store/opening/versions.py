"""The installed versions."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed_version(distribution: str) -> str | None:
    """Return the version; None if it is not known, as in a source tree."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def this_version() -> str | None:
    """Return the version of Turnwire."""
    return installed_version("turnwire")

"""The version of the installed distribution."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("turnwire")
except PackageNotFoundError:  # running from a source tree that is not installed
    __version__ = "0+unknown"

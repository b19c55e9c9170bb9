"""Checks that a database server is suitable: its version, its kind, and that it accepts writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_OLDEST: Final = (4, 4)
_ROUTERS: Final = {4: None, 5: (5, 0, 30), 6: (6, 0, 14), 7: (7, 0, 6)}
"""The first version of the router, by major version, that reports a failed write concern along with a write error.

None means that no version does."""


def is_router(hello: Mapping[str, Any]) -> bool:
    return hello.get("msg") == "isdbgrid"


def is_packaged(build: Mapping[str, Any]) -> bool:
    """Return whether this answer to `buildInfo` is that of the server that the extra `embedded` brings."""
    return "secantusVersion" in build and "buildEnvironment" not in build


def unfit(hello: Mapping[str, Any], version: str) -> str | None:
    """Return what is wrong with a server and the remedy, or None. `hello` is the server's answer to that command."""
    number = _parts(version)
    if number[:2] < _OLDEST:
        return f"the server is MongoDB {version}: 4.4 or later is needed"
    if is_router(hello):
        oldest = _ROUTERS.get(number[0], ())
        if oldest is None or number < oldest:
            return (
                f"the router (mongos) is {version}, which can hide that a write was not kept: "
                "use 5.0.30, 6.0.14, 7.0.6, or later"
            )
    if hello.get("readOnly"):
        return "the server is read-only: use one that accepts writes"
    if hello.get("secondary"):
        return "the server is a secondary: leave directConnection out of MONGODB_URI, so that the primary is found"
    return None


def _parts(version: str) -> tuple[int, ...]:
    """Parse `7.0.6-rc1` to (7, 0, 6)."""
    numbers = version.split("-", 1)[0].split(".")[:3]
    return tuple(int(number) for number in numbers if number.isdecimal())

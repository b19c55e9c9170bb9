"""`turnwire verify --archived`: reads the archive that the settings name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from turnwire.gateway.config import Config, ConfigError
from turnwire.store.archive.checking import check_session
from turnwire.store.archive.objects import ArchiveUnavailable, open_objects


def archive_check(config: Config) -> Callable[[str, int], Awaitable[list[str]]]:
    """Return a function that takes a sessionId and a number of events, checks them in the archive, and returns the
    faults.

    Raises ConfigError.
    """
    if config.archive_url is None:
        raise ConfigError("TURNWIRE_ARCHIVE_URL is not set; give it the same value as for the gateways")
    try:
        objects = open_objects(config.archive_url)
    except ValueError as fault:
        raise ConfigError(f"TURNWIRE_ARCHIVE_URL: {fault}") from None

    async def check(session_id: str, events: int) -> list[str]:
        try:
            return await check_session(objects, session_id, events)
        except ArchiveUnavailable as error:
            return [f"the archive cannot be read: {error.reason}"]

    return check

"""The URL of an adapter's gateway."""

from __future__ import annotations

import os


def gateway_url(given: str | None) -> str:
    """Return the given URL, or TURNWIRE_URL of the environment. Raises ValueError if neither is set."""
    url = given or os.environ.get("TURNWIRE_URL")
    if not url:
        raise ValueError("give the URL of the gateway, or set TURNWIRE_URL")
    return url

"""Where an adapter's gateway is."""

from __future__ import annotations

import os


def gateway_url(given: str | None) -> str:
    """The URL that was given, or TURNWIRE_URL of the environment. Raises ValueError when there is neither."""
    url = given or os.environ.get("TURNWIRE_URL")
    if not url:
        raise ValueError("give the URL of the gateway, or set TURNWIRE_URL")
    return url

"""The media types that the gateway serves, and which of them a request wants."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import hdrs, web

JSON_TYPE = "application/json"
NDJSON = "application/x-ndjson"
SSE = "text/event-stream"


def wanted_type(request: web.Request, offered: Sequence[str]) -> str:
    """Return the media type of `offered` that the Accept header prefers; the first one if it accepts none."""
    best, best_rank = offered[0], (0.0, 0)
    for part in ",".join(request.headers.getall(hdrs.ACCEPT, [])).split(","):
        name, _, parameters = part.partition(";")
        name = name.strip().lower()
        exact = name in offered
        rank = (_quality(parameters), int(exact))
        if (exact or name in ("*/*", "application/*")) and rank[0] > 0 and rank > best_rank:
            best, best_rank = (name if exact else offered[0]), rank
    return best


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                quality = float(value)
            except ValueError:
                return 0.0
            return quality if 0 <= quality <= 1 else 0.0
    return 1.0

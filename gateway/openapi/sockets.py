"""The routes of the WebSockets, in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from turnwire.gateway.openapi.parts import operation, parameter
from turnwire.gateway.openapi.schemas import Schema
from turnwire.protocol.codec import CODECS
from turnwire.protocol.paging import MAX_LANGUAGE_CHARS


def _socket(operation_id: str, summary: str, description: str, *, errors: Sequence[int], **more: Any) -> Schema:
    description += (
        f"\n\nA WebSocket; subprotocols {' and '.join(f'`{name}`' for name in CODECS)}. `/asyncapi.json` describes its "
        "messages."
    )
    answers = {"101": {"description": "The WebSocket is open."}}
    return operation(operation_id, summary, description, tag="WebSockets", answers=answers, errors=errors, **more)


def publish(errors: Sequence[int]) -> Schema:
    """Return the operation of the publisher's socket."""
    language = {"type": "string", "minLength": 1, "maxLength": MAX_LANGUAGE_CHARS}
    return _socket(
        "publish",
        "Publish a session's events",
        "A session has one publisher; a newer one takes over. Each event gets an `ack` when durable, or a `nack`.",
        errors=errors,
        parameters=[parameter("language", "If given, the session is created if it does not exist.", language)],
    )


def subscribe(errors: Sequence[int]) -> Schema:
    """Return the operation of the subscriber's socket."""
    return _socket(
        "subscribe",
        "Watch sessions",
        "One socket carries many subscriptions: to single sessions, from any seq on, without gaps, and to the feed of "
        "all sessions.",
        errors=errors,
    )

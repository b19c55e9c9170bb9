"""The parts of a request to a stream: its name, its type, and who writes."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web
from msgspec import Struct

from turnwire.gateway.durable_streams.item_ids import ProducerRequest
from turnwire.gateway.durable_streams.refusals import (
    CLOSED,
    PRODUCER_EPOCH,
    PRODUCER_ID,
    PRODUCER_SEQ,
    STREAM_SEQ,
    TRUE,
    conflict,
)
from turnwire.gateway.http.media_types import JSON_TYPE
from turnwire.gateway.http.query import plain_integer, stream_id_of
from turnwire.protocol.errors import InvalidMessage
from turnwire.protocol.messages import Limits

_RESERVED: Final = "__ds"
"""The first path segments that the protocol reserves: no stream has these names."""
_MOST: Final = 2**53 - 1
_NOT_KEPT: Final = ("Stream-TTL", "Stream-Expires-At")
_FORKING: Final = ("Stream-Forked-From", "Stream-Fork-Offset", "Stream-Fork-Sub-Offset")


def stream_of(request: web.Request, limits: Limits) -> str:
    """Return the sessionId of the stream. Raises InvalidMessage, and HTTPException (404) for a reserved path."""
    session_id = stream_id_of(request, limits)
    if session_id.split("/", 1)[0] == _RESERVED:
        raise web.HTTPNotFound(text="this gateway has no subscriptions of streams: use webhooks")
    return session_id


def is_json(request: web.Request) -> bool:
    charset = (request.charset or "utf-8").lower()
    return request.content_type == JSON_TYPE and charset in ("utf-8", "utf8")


def check_type(request: web.Request) -> None:
    """Raise InvalidMessage (400 or 409) unless the body of an append has the stream's type."""
    if hdrs.CONTENT_TYPE not in request.headers:
        raise InvalidMessage(f"Content-Type is missing: it must be {JSON_TYPE}")
    if not is_json(request):
        raise conflict(f"the stream is {JSON_TYPE}, in UTF-8; the body is not")


def check_creatable(request: web.Request) -> None:
    """Raise InvalidMessage if the request asks for a feature that streams lack here."""
    if any(name in request.headers for name in _NOT_KEPT):
        raise InvalidMessage("a stream has no lifetime of its own: how long sessions are kept is set for the gateway")
    if any(name in request.headers for name in _FORKING):
        raise InvalidMessage("a stream cannot be a fork of another one")


class Writing(Struct, frozen=True):
    """What the headers of an append say."""

    batch: ProducerRequest | None
    stream_seq: str | None
    closes: bool
    """Whether to close the stream afterwards."""

    @classmethod
    def of(cls, request: web.Request) -> Writing:
        """Parse the headers. Raises InvalidMessage."""
        return cls(_batch(request), _text(request, STREAM_SEQ) or None, closes(request))

    @property
    def is_ordered(self) -> bool:
        """Whether earlier writes decide if the request is stored."""
        return self.batch is not None or self.stream_seq is not None


def closes(request: web.Request) -> bool:
    return request.headers.get(CLOSED, "").lower() == TRUE


def _batch(request: web.Request) -> ProducerRequest | None:
    producer = _text(request, PRODUCER_ID)
    given = [producer is not None, PRODUCER_EPOCH in request.headers, PRODUCER_SEQ in request.headers]
    if not any(given):
        return None
    if not all(given) or not producer:
        raise InvalidMessage(f"{PRODUCER_ID}, {PRODUCER_EPOCH} and {PRODUCER_SEQ} must be given together, none empty")
    return ProducerRequest(producer, _number(request, PRODUCER_EPOCH), _number(request, PRODUCER_SEQ))


def _number(request: web.Request, name: str) -> int:
    number = plain_integer(request.headers[name])
    if number is None or number > _MOST:
        raise InvalidMessage(f"{name} must be an integer from 0 to {_MOST}")
    return number


def _text(request: web.Request, name: str) -> str | None:
    value = request.headers.get(name)
    if value is not None:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidMessage(f"{name} must be UTF-8") from None
    return value

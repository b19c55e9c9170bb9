"""Items of a stream: events in the form of history pages, and any other JSON values, carried by system events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, get_args

import msgspec
from aiohttp import web
from msgspec import Raw

from turnwire.protocol.bodies import HistoryEvent
from turnwire.protocol.codec import JSON
from turnwire.protocol.errors import MalformedEvent, TooLarge, TurnwireError
from turnwire.protocol.messages import BadEvent, Event, EventIn, EventType, Limits
from turnwire.protocol.rules import check_event
from turnwire.store.sharing.places import Places

VALUE: Final = "streamItem"
"""The only key in the payload of a system event that carries a value other than an event."""
_LARGE_BODY: Final = 1024
"""Bytes. A longer body is read in a thread, which costs 0.1 ms: every two bytes may be an item, which takes 2 µs."""
_AT_ONCE: Final = 8
"""The number of longer bodies that are stored at the same time."""
_MOST_FAULTS: Final = 100
"""The number of refused items that an answer names."""
_EVENT_ID: Final = "eventId"
_TYPES: Final = frozenset(msgspec.json.encode(name) for name in get_args(EventType))

NewId = Callable[[int, int], str]
"""Returns the eventId of an item, given its index in the request and the number of items there."""


class ItemReader:
    """Reads the bodies of requests. Only a few large ones are read and stored at the same time, and clients take turns,
    because the events of a body take ten times its memory."""

    def __init__(self, limits: Limits, most: int, client_of: Callable[[web.Request], str]) -> None:
        """`most`: the most items in a body; 0 means no limit. `client_of` returns whose request it is."""
        self._limits = limits
        self._most = most
        self._client_of = client_of
        self._places = Places(_AT_ONCE)
        self._reading = Places(1)

    @asynccontextmanager
    async def events(
        self, request: web.Request, body: bytes, new_id: NewId, *, may_name: bool
    ) -> AsyncIterator[list[EventIn]]:
        """Return what `read_items` returns, for as long as the block lasts, without holding up the loop. Raises what it
        raises."""
        read = partial(read_items, body, new_id, self._limits, self._most, may_name=may_name)
        if len(body) <= _LARGE_BODY:
            yield read()
            return
        client = self._client_of(request)
        async with self._places.hold(client, len(body)):
            async with self._reading.hold(client, len(body)):
                events = await asyncio.to_thread(read)
            yield events


def read_items(body: bytes, new_id: NewId, limits: Limits, most: int = 0, *, may_name: bool) -> list[EventIn]:
    """Return the events of a body: a JSON value, or an array of several, at most `most`. An empty array holds none.

    An event without an `eventId` gets a new one. Only if `may_name` is set may an event have one. Raises InvalidJson,
    InvalidMessage, MalformedEvent, TooLarge.
    """
    raws = _raw_items(body, limits)
    if 0 < most < len(raws):
        raise TooLarge(f"the body has {len(raws)} items, over the limit of {most}")
    events: list[EventIn] = []
    code, bad = None, list[str]()
    for index, raw in enumerate(raws):
        try:
            events.append(_read(raw, new_id(index, len(raws)), limits, may_name=may_name))
        except TurnwireError as error:
            code = code or error.code
            bad.append(f"item {index}: {error.message}")
            if len(bad) == _MOST_FAULTS:
                break
    if code is not None:
        raise TurnwireError(code, bad[0], bad)
    return events


def _raw_items(body: bytes, limits: Limits) -> Sequence[Raw]:
    body = body.strip(b" \t\r\n")
    if body.startswith(b"["):
        return JSON.decode_body(body, list[Raw], limits)
    JSON.decode_body(body, Any, limits)  # an object with a fault may not be read further
    return [Raw(body)]


def _read(raw: Raw, new_id: str, limits: Limits, *, may_name: bool) -> EventIn:
    text = bytes(raw)
    if text.startswith(b"{"):
        fields = JSON.decode_body(text, dict[str, Raw], limits)
        if _is_event(fields):
            return _event(fields, new_id, limits, may_name=may_name)
    if len(text) > limits.event_bytes:
        raise TooLarge(f"it has {len(text)} bytes, over the limit of {limits.event_bytes}")
    event = EventIn(new_id, "system", {VALUE: JSON.decode_body(text, Any, limits)})
    check_event(event, limits)
    return event


def _is_event(fields: Mapping[str, Raw]) -> bool:
    """Return whether an object is meant as an event. A malformed event must not pass for a plain value."""
    return "type" in fields and ("payload" in fields or bytes(fields["type"]) in _TYPES)


def _event(fields: dict[str, Raw], new_id: str, limits: Limits, *, may_name: bool) -> EventIn:
    if _EVENT_ID not in fields:
        fields = {**fields, _EVENT_ID: Raw(msgspec.json.encode(new_id))}
    elif not may_name:
        raise MalformedEvent(f"with a producer, {_EVENT_ID} is made of the producer and must be left out")
    event = JSON.decode_new_event(msgspec.json.encode(fields), limits)
    if isinstance(event, BadEvent):
        raise TurnwireError(event.code, event.message)
    return event


def item_of(event: Event) -> bytes:
    """Return the event as an item of its stream, in JSON."""
    payload = event.payload
    if event.type == "system" and len(payload) == 1 and VALUE in payload:
        return JSON.encode_value(payload[VALUE])
    return JSON.encode(HistoryEvent(event.event_id, event.type, payload, event.timestamp, event.seq))


def items_of(events: Sequence[Event]) -> bytes:
    """Return the events as a JSON array of items."""
    return b"[" + b",".join(map(item_of, events)) + b"]"

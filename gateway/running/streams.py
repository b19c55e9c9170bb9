"""The wiring of durable streams."""

from __future__ import annotations

from aiohttp import web

from turnwire.gateway.access.access import Access
from turnwire.gateway.access.addresses import ClientAddresses
from turnwire.gateway.access.guard import client_of
from turnwire.gateway.config import Config
from turnwire.gateway.durable_streams.appending import Appending
from turnwire.gateway.durable_streams.creating import StreamCreating
from turnwire.gateway.durable_streams.items import ItemReader
from turnwire.gateway.durable_streams.locations import Locations
from turnwire.gateway.durable_streams.producers import Producers
from turnwire.gateway.durable_streams.reading import StreamReading
from turnwire.gateway.durable_streams.storing import ItemStore
from turnwire.gateway.durable_streams.waiting import LongPolling
from turnwire.gateway.durable_streams.writing import StreamWriting
from turnwire.gateway.http.body import BodyReader
from turnwire.gateway.rest.creating import Creating
from turnwire.gateway.rest.sse import SseRoute
from turnwire.gateway.running.routes import add_stream_routes
from turnwire.gateway.running.sessions import SessionParts


def add_streams(
    app: web.Application,
    config: Config,
    parts: SessionParts,
    *,
    access: Access,
    bodies: BodyReader,
    creating: Creating,
    sse: SseRoute,
) -> None:
    """Add the routes of durable streams."""
    limits, requests, log = config.limits, parts.requests, parts.store.events
    storing = ItemStore(limits, requests, access.enders)
    items = ItemReader(limits, config.max_stream_items, client_of)
    writing = StreamWriting(
        limits,
        bodies,
        Appending(limits, requests, items, storing, Producers(log, patience=config.rest_timeout)),
        StreamCreating(
            limits,
            requests,
            parts.store.sessions,
            items=items,
            creating=creating,
            storing=storing,
            locations=Locations(ClientAddresses(config.trusted_proxies)),
        ),
        requests=requests,
        erasing=parts.erasing,
        audit=access.audit,
    )
    long_polling = LongPolling(sse.streams, requests, sse.watching, config.long_poll_timeout)
    add_stream_routes(app, StreamReading(limits, requests, log, sse, long_polling), writing)

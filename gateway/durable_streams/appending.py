"""Appends items to a stream and closes it. Stores each request of a producer once."""

from __future__ import annotations

from functools import partial
from typing import Literal

import uuid_utils
from aiohttp import web

from turnwire.gateway.access.principals import Principal
from turnwire.gateway.durable_streams.asked import Writing, check_type
from turnwire.gateway.durable_streams.item_ids import ItemId, ProducerRequest
from turnwire.gateway.durable_streams.items import ItemReader, NewId
from turnwire.gateway.durable_streams.offsets import offset_of
from turnwire.gateway.durable_streams.producers import AlreadyStored, Producers, Writers
from turnwire.gateway.durable_streams.refusals import (
    CLOSED,
    NEXT_OFFSET,
    PRODUCER_EPOCH,
    PRODUCER_SEQ,
    TRUE,
    SequenceGap,
    StreamClosed,
)
from turnwire.gateway.durable_streams.storing import ItemStore
from turnwire.gateway.sessions.requests import Requests, View
from turnwire.protocol.errors import InvalidMessage, SessionHasEnded
from turnwire.protocol.messages import Limits
from turnwire.store.session_record import SessionRecord


class Appending:
    """Judges the requests to a stream one after the other, where their order matters, and carries them out."""

    def __init__(
        self, limits: Limits, requests: Requests, items: ItemReader, storing: ItemStore, producers: Producers
    ) -> None:
        self._limits = limits
        self._requests = requests
        self._items = items
        self._storing = storing
        self._producers = producers

    async def append(self, request: web.Request, session_id: str, principal: Principal, body: bytes) -> web.Response:
        """Append to the stream, close it, or both. Raises InvalidMessage, StreamClosed, StaleEpoch, SequenceGap,
        SequenceRegression, and what `Requests.append` raises."""
        writing = Writing.of(request)
        if not body and not writing.closes:
            raise InvalidMessage(f"the body is empty; without {CLOSED} it must hold an item")
        if not writing.is_ordered:
            return await self._write(request, session_id, principal, body, writing)
        async with self._producers.one_by_one(session_id):
            return await self._write(request, session_id, principal, body, writing)

    async def _write(
        self, request: web.Request, session_id: str, principal: Principal, body: bytes, writing: Writing
    ) -> web.Response:
        view = await self._requests.view(session_id)
        writers = await self._writers(view) if writing.is_ordered else Writers()
        repeated = _judge(view, writers, writing) == "repeated"
        if not repeated and not view.takes_events and body:
            raise StreamClosed(session_id, view.session.last_seq)
        last_seq = view.session.last_seq
        if body and not repeated:
            check_type(request)
            _check_order(writers, writing)
            try:
                last_seq = await self._store(request, session_id, body, writing, writers)
            except AlreadyStored:
                return await self._write(request, session_id, principal, body, writing)
        if writing.closes:
            condition = None if writing.batch is None else partial(self._check_closing, writing.batch)
            await self._storing.end(session_id, principal, condition)
        return _answer(writing, writers, last_seq, is_new=bool(body) and not repeated, takes_events=view.takes_events)

    async def _writers(self, view: View) -> Writers:
        return await self._producers.of(view.session.session_id, view.life, view.session.last_seq)

    async def _store(
        self, request: web.Request, session_id: str, body: bytes, writing: Writing, writers: Writers
    ) -> int:
        """Store the items of the body. Return the seq of the last one."""
        condition = partial(self._check, writing) if writing.is_ordered else None
        new_id = self._new_ids(writing)
        async with self._items.events(request, body, new_id, may_name=not writing.is_ordered) as events:
            if not events:
                raise InvalidMessage("the array is empty; it must hold an item")
            try:
                stored = await self._storing.append(session_id, events, len(body), condition)
            except SessionHasEnded:
                view = await self._requests.view(session_id)
                raise StreamClosed(session_id, view.session.last_seq) from None
        for event in stored:  # events that came in between are read from the log
            writers.learn(event.seq, event.event_id)
        return stored[-1].seq

    async def _check(self, writing: Writing, record: SessionRecord) -> None:
        """Judge the request again by everything that its items will follow, because another gateway may have written
        first.

        Raises AlreadyStored in addition to what the first judgement raises.
        """
        writers = await self._producers.of(record.session_id, record.life, record.last_seq)
        if writing.batch is not None and writers.judge(writing.batch) == "repeated":
            raise AlreadyStored
        _check_order(writers, writing)

    async def _check_closing(self, batch: ProducerRequest, record: SessionRecord) -> None:
        """Judge a request that closes the stream by everything in the log, which may have grown since the request
        arrived."""
        (await self._producers.of(record.session_id, record.life, record.last_seq)).judge(batch)

    def _new_ids(self, writing: Writing) -> NewId:
        """Return what names the items of a request. Raises InvalidMessage if the names would be too long."""

        def new_id(index: int, count: int) -> str:
            if not writing.is_ordered:
                return str(uuid_utils.uuid7())
            return ItemId(index=index, count=count, batch=writing.batch, stream_seq=writing.stream_seq).text

        longest = len(new_id(self._limits.frame_bytes, self._limits.frame_bytes))
        if longest > self._limits.id_chars:
            raise InvalidMessage(
                f"Producer-Id and Stream-Seq are too long: an eventId made of them has {longest} characters, over the "
                f"limit of {self._limits.id_chars}"
            )
        return new_id


def _judge(view: View, writers: Writers, writing: Writing) -> Literal["new", "repeated"]:
    if writing.batch is None:
        return "new"
    try:
        return writers.judge(writing.batch)
    except SequenceGap:
        if view.takes_events:
            raise
        raise StreamClosed(view.session.session_id, view.session.last_seq) from None


def _check_order(writers: Writers, writing: Writing) -> None:
    if writing.stream_seq is not None:
        writers.check_order(writing.stream_seq)


def _answer(writing: Writing, writers: Writers, last_seq: int, *, is_new: bool, takes_events: bool) -> web.Response:
    headers = {NEXT_OFFSET: offset_of(last_seq)}
    if writing.closes or not takes_events:
        headers[CLOSED] = TRUE
    if writing.batch is not None:
        headers[PRODUCER_EPOCH] = str(writing.batch.epoch)
        headers[PRODUCER_SEQ] = str(writers.newest(writing.batch))
    return web.Response(status=200 if is_new and writing.batch is not None else 204, headers=headers)

"""Creates a stream: a session, with the language that `Content-Language` gives."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from aiohttp import hdrs, web

from turnwire.gateway.access.principals import Principal
from turnwire.gateway.durable_streams.asked import check_creatable, closes, is_json
from turnwire.gateway.durable_streams.item_ids import ItemId
from turnwire.gateway.durable_streams.items import ItemReader
from turnwire.gateway.durable_streams.locations import Locations
from turnwire.gateway.durable_streams.offsets import offset_of
from turnwire.gateway.durable_streams.refusals import CLOSED, NEXT_OFFSET, TRUE, conflict
from turnwire.gateway.durable_streams.storing import ItemStore
from turnwire.gateway.http.media_types import JSON_TYPE
from turnwire.gateway.rest.creating import Creating
from turnwire.gateway.sessions.requests import Requests
from turnwire.protocol.errors import InvalidMessage
from turnwire.protocol.messages import EventIn, Limits
from turnwire.protocol.paging import language_fault
from turnwire.protocol.rules import check_new_session_id
from turnwire.store.sessions import SessionStore

_NO_LANGUAGE: Final = "und"


class StreamCreating:
    """Answers PUT requests."""

    def __init__(
        self,
        limits: Limits,
        requests: Requests,
        sessions: SessionStore,
        *,
        items: ItemReader,
        creating: Creating,
        storing: ItemStore,
        locations: Locations,
    ) -> None:
        self._limits = limits
        self._requests = requests
        self._sessions = sessions
        self._items = items
        self._creating = creating
        self._storing = storing
        self._locations = locations

    async def create(self, request: web.Request, session_id: str, principal: Principal, body: bytes) -> web.Response:
        """Create the stream. Repeating a request that was cut off completes the stream, through any gateway. Raises
        InvalidMessage (400 or 409), HTTPException (415), and what `Creating.create` and `Requests.append` raise."""
        check_new_session_id(session_id, self._limits)
        check_creatable(request)
        _language(request)
        if hdrs.CONTENT_TYPE in request.headers and not is_json(request):
            raise await self._wrong_type(session_id)
        if not body:
            return await self._create(request, session_id, principal, b"", [])
        async with self._items.events(request, body, _new_id, may_name=True) as events:
            return await self._create(request, session_id, principal, body, events)

    async def _create(
        self, request: web.Request, session_id: str, principal: Principal, body: bytes, events: list[EventIn]
    ) -> web.Response:
        language = _language(request)
        new = language or _NO_LANGUAGE
        more = _creation(body, new, closes=closes(request)) if events or closes(request) else None
        session, created = await self._creating.create(principal, session_id, new, {}, creation=more)
        if not (created or await self._was_cut_off(session_id, more)):
            return await self._existing(request, session_id, language)
        last_seq = session.last_seq
        if events:
            last_seq = (await self._storing.append(session_id, events, len(body)))[-1].seq
        if closes(request):
            await self._storing.end(session_id, principal)
        if more is not None:
            await self._sessions.finish_creation(session_id, more)
        return _answer(201, last_seq, closed=closes(request), location=self._locations.of(request))

    async def _was_cut_off(self, session_id: str, creation: str | None) -> bool:
        """Return whether this same request created the session but was cut off before all of it was stored."""
        if creation is None:
            return False
        stored = await self._sessions.load(session_id)
        return stored is not None and stored.creation == creation

    async def _wrong_type(self, session_id: str) -> Exception:
        if await self._requests.exists(session_id):
            return conflict(f"the stream exists, as {JSON_TYPE}")
        return web.HTTPUnsupportedMediaType(text=f"streams are {JSON_TYPE} in UTF-8, and nothing else")

    async def _existing(self, request: web.Request, session_id: str, language: str | None) -> web.Response:
        """Answer a request to create a stream that exists. Its items stay as they are."""
        view = await self._requests.view(session_id)
        closed = not view.takes_events
        if closed != closes(request):
            raise conflict(f"the stream exists, and is {'closed' if closed else 'open'}")
        if language not in (None, view.session.language):
            raise conflict(f"the stream exists, with the language {view.session.language!r}")
        return _answer(200, view.session.last_seq, closed=closed)


def _new_id(index: int, count: int) -> str:
    return ItemId(index=index, count=count).text


def _creation(body: bytes, language: str, *, closes: bool) -> str:
    """Return a digest that is equal for all requests that create the same stream; see
    `SessionStore.finish_creation`."""
    return blake2b(b"\0".join([language.encode(), b"closes" if closes else b"", body]), digest_size=16).hexdigest()


def _language(request: web.Request) -> str | None:
    language = request.headers.get(hdrs.CONTENT_LANGUAGE)
    fault = None if language is None else language_fault(language)
    if fault is not None:
        raise InvalidMessage(f"{hdrs.CONTENT_LANGUAGE}: {fault}")
    return language


def _answer(status: int, last_seq: int, *, closed: bool, location: str | None = None) -> web.Response:
    headers = {hdrs.CONTENT_TYPE: JSON_TYPE, NEXT_OFFSET: offset_of(last_seq)}
    if closed:
        headers[CLOSED] = TRUE
    if location is not None:
        headers[hdrs.LOCATION] = location
    return web.Response(status=status, headers=headers)

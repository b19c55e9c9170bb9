"""Follows all sessions: who is live, and what changes about them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Literal

import aiohttp

from turnwire.address import Address
from turnwire.client import Client
from turnwire.connecting.backoff import Backoff
from turnwire.connecting.handshake import Lost
from turnwire.connecting.link import Link, borrowed, codec_named, open_link
from turnwire.connecting.patience import Patience
from turnwire.connecting.tokens import Token, TokenSource
from turnwire.errors import SessionNotFound, Unreachable, refusal
from turnwire.protocol.messages import (
    Erased,
    Error,
    Session,
    SessionPush,
    SessionsPush,
    SessionStatus,
    Subscribe,
    Subscribed,
)
from turnwire.protocol.rules import has_ended
from turnwire.subscription_reader import decoded_push

_REF = "1"
_PAGE = 100
"""Sessions that one request for a list answers."""
REMEMBERED = 1000
"""Sessions that have ended, or left the filter, and are remembered so that they are not given again."""


class _Feed:
    """Reads the feed over and over, and holds the newest state of each session that changed until it is taken."""

    def __init__(
        self, url: str, status: Sequence[SessionStatus], codec: str, token: Token | None, give_up_after: float | None
    ) -> None:
        self.changed = asyncio.Event()
        self.pending: dict[str, Session] = {}
        self._address = Address(url)
        self._status = list(status)
        self._codec = codec_named(codec)
        self._token = token
        self._give_up_after = give_up_after
        self._live: dict[str, Session] = {}
        """Sessions last seen to go on, of those that were asked for."""
        self._gone: dict[str, Session] = {}
        """The others seen, as many as are remembered."""
        self._missed: set[str] = set()
        """Sessions that went on before a break and have not been heard of since."""

    async def read(self, http: aiohttp.ClientSession) -> None:
        """Runs until the gateway refuses, or has been away for too long."""
        patience = Patience(self._give_up_after, "feed of sessions")
        token = TokenSource(self._token)
        while True:
            try:
                async with open_link(http, self._address.websocket("subscribe"), self._codec, token) as link:
                    await self._read_connection(link, http, patience)
            except Lost as lost:
                await patience.pause(lost)

    async def _read_connection(self, link: Link, http: aiohttp.ClientSession, patience: Patience) -> None:
        self._missed = set(self._live)
        looking: asyncio.Task[None] | None = None
        await link.send(Subscribe(_REF, feed="sessions", status=self._status or None))
        try:
            while True:
                push = decoded_push(link, await link.receive())
                if isinstance(push, Error):
                    raise Lost(push.message) if push.retryable else refusal(push.message, push.code)
                if isinstance(push, Subscribed):
                    patience.connected()
                elif isinstance(push, SessionPush):
                    self._know(push.session)
                elif isinstance(push, Erased):
                    self._forget(push.session_id)
                elif isinstance(push, SessionsPush):
                    patience.progress()
                    for session in reversed(push.sessions):
                        self._know(session)
                    if looking is None:
                        client = Client(str(self._address), token=self._token, http=http)
                        looking = asyncio.create_task(self._look_after_missed(client), name="sessions missed")
        finally:
            if looking is not None:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)

    def _forget(self, session_id: str) -> None:
        """The session has been erased. A new one of its id is told of like any other."""
        self._missed.discard(session_id)
        for known in (self._live, self._gone, self.pending):
            known.pop(session_id, None)

    async def _look_after_missed(self, client: Client) -> None:
        """What has become of the sessions that went on before a break, and that the gateway has not begun with now?"""
        backoff = Backoff()
        while self._missed:
            try:
                await self._look_through_list(client)
                for session_id in list(self._missed):
                    await self._look_up(client, session_id)
            except Unreachable:
                await asyncio.sleep(backoff.next_delay())

    async def _look_through_list(self, client: Client) -> None:
        """The list answers for a hundred at a time; it is read for as long as that costs less than to ask for each."""
        missed = [self._live[session_id] for session_id in self._missed if session_id in self._live]
        oldest = min((session.started_at for session in missed), default="")
        read = 0
        async with aclosing(client.list()) as sessions:
            async for session in sessions:
                if not self._missed or session.started_at < oldest or read > _PAGE * len(self._missed):
                    return
                read += 1
                if session.session_id in self._missed:
                    self._know(session)

    async def _look_up(self, client: Client, session_id: str) -> None:
        try:
            self._know(await client.get(session_id))
        except SessionNotFound:
            self._live.pop(session_id, None)
            self._missed.discard(session_id)

    def _know(self, session: Session) -> None:
        session_id = session.session_id
        self._missed.discard(session_id)
        before = self._live.pop(session_id, None) or self._gone.pop(session_id, None)
        if before is not None and _is_older(session, before):
            session = before
        wanted = not self._status or session.status in self._status
        if wanted and not has_ended(session.status):
            self._live[session_id] = session
        else:
            self._gone[session_id] = session
            if len(self._gone) > REMEMBERED:
                del self._gone[next(iter(self._gone))]
        if session != before:
            self.pending[session_id] = session
            self.changed.set()


def _is_older(session: Session, known: Session) -> bool:
    """Whether what is said of a session has been overtaken by what is known."""
    return session.last_seq < known.last_seq or (has_ended(known.status) and not has_ended(session.status))


async def follow_sessions(
    url: str,
    status: Sequence[SessionStatus] = (),
    *,
    token: Token | None = None,
    codec: Literal["json", "msgpack"] = "json",
    give_up_after: float | None = None,
    http: aiohttp.ClientSession | None = None,
) -> AsyncGenerator[Session, None]:
    """The sessions there are (the newest 500, oldest first), then each that begins or changes, for ever.

    With `status`, only those; one that leaves is given once more, as it is then. Who is slow gets the newest state of
    each session, not every one in between. After a reconnect those come that have changed meanwhile. `token`: a text,
    or a function that is asked for one before each connection. Raises Refused, and Unreachable when there has been no
    gateway for `give_up_after` seconds (never, unless given).
    """
    feed = _Feed(url, status, codec, token, give_up_after)
    async with borrowed(http) as session_of_http:
        reader = asyncio.create_task(feed.read(session_of_http), name="feed of sessions")
        reader.add_done_callback(lambda _: feed.changed.set())
        try:
            while True:
                while feed.pending:
                    yield feed.pending.pop(next(iter(feed.pending)))
                if reader.done():
                    reader.result()
                feed.changed.clear()
                await feed.changed.wait()
        finally:
            reader.cancel()
            await asyncio.wait({reader})

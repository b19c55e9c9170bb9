"""Following all sessions: which ones are live, and how they change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Literal

import aiohttp
from msgspec import UNSET
from msgspec.structs import replace

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
"""Sessions in one page of a list."""
REMEMBERED = 1000
"""Maximum number of sessions, ended or no longer matching the filter, that are remembered to avoid yielding them again.
"""


class _Feed:
    """A reader of the feed, across connections. Holds the newest state of each changed session until it is taken."""

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
        """The running sessions that match the filter, as last seen."""
        self._gone: dict[str, Session] = {}
        """The other sessions seen, up to REMEMBERED of them."""
        self._missed: set[str] = set()
        """The sessions that were running before the connection broke, without news since."""

    async def read(self, http: aiohttp.ClientSession) -> None:
        """Run until the gateway refuses, or has been away for too long."""
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
        """Forget an erased session. A new one of the same id is reported like any other."""
        self._missed.discard(session_id)
        for known in (self._live, self._gone, self.pending):
            known.pop(session_id, None)

    async def _look_after_missed(self, client: Client) -> None:
        """Look up the sessions that were running before a break and are not among those the gateway sent since."""
        backoff = Backoff()
        while self._missed:
            try:
                await self._look_through_list(client)
                for session_id in list(self._missed):
                    await self._look_up(client, session_id)
            except Unreachable:
                await asyncio.sleep(backoff.next_delay())

    async def _look_through_list(self, client: Client) -> None:
        """Read the list, a hundred sessions at a time, as long as that is cheaper than asking for each one."""
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
        if before is None or not _is_the_same(session, before):
            self.pending[session_id] = session
            self.changed.set()


def _is_the_same(session: Session, known: Session) -> bool:
    """Return whether nothing has changed except how long the session has been quiet."""
    return replace(session, quiet_ms=UNSET) == replace(known, quiet_ms=UNSET)


def _is_older(session: Session, known: Session) -> bool:
    """Return whether the state of a session is older than the known one."""
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
    """Iterate over the present sessions (the newest 500, oldest first), then over each that starts or changes, forever.

    With `status`, only sessions of these statuses are yielded; one that leaves them is yielded once more. A slow
    consumer gets the newest state of each session, not every one in between. After a reconnect, sessions that changed
    meanwhile are yielded. `token` is a string, or a function that returns one for each connection. Raises Refused, and
    Unreachable once no gateway has answered for `give_up_after` seconds (by default never).
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

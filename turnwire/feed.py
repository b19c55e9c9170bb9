"""Follows all sessions: who is live, and what changes about them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Literal

import aiohttp

from turnwire.address import Address
from turnwire.client import Client
from turnwire.errors import SessionNotFound, Unreachable, refusal
from turnwire.link import Link, Lost, borrowed, codec_named, open_link
from turnwire.patience import Patience
from turnwire.protocol.messages import Error, Session, SessionPush, SessionsPush, SessionStatus, Subscribe
from turnwire.protocol.rules import has_ended
from turnwire.subscriber import decoded_push

_REF = "1"


class _Feed:
    """Reads the feed over and over, and holds the newest state of each session that changed until it is taken."""

    def __init__(self, url: str, status: Sequence[SessionStatus], codec: str, give_up_after: float | None) -> None:
        self.changed = asyncio.Event()
        self.pending: dict[str, Session] = {}
        self._address = Address(url)
        self._status = list(status)
        self._codec = codec_named(codec)
        self._give_up_after = give_up_after
        self._live: dict[str, Session] = {}
        """Sessions last seen to go on, of those that were asked for."""

    async def read(self, http: aiohttp.ClientSession) -> None:
        """Runs until the gateway refuses, or has been away for too long."""
        patience = Patience(self._give_up_after)
        while True:
            try:
                async with open_link(http, self._address.websocket("subscribe"), self._codec) as link:
                    await link.send(Subscribe(_REF, feed="sessions", status=self._status or None))
                    while True:
                        await self._read_one(link, http, patience)
            except Lost as lost:
                await patience.pause(lost)

    async def _read_one(self, link: Link, http: aiohttp.ClientSession, patience: Patience) -> None:
        push = decoded_push(link, await link.receive())
        if isinstance(push, Error):
            raise Lost(push.message) if push.retryable else refusal(push.message, push.code)
        if isinstance(push, SessionsPush):
            patience.progress()
            missed = self._live.keys() - {session.session_id for session in push.sessions}
            for session in reversed(push.sessions):
                self._know(session)
            await self._look_after(missed, http)
        elif isinstance(push, SessionPush):
            self._know(push.session)

    async def _look_after(self, missed: set[str], http: aiohttp.ClientSession) -> None:
        """Sessions that were going on before a reconnect and are not in the new list: what has become of them?"""
        client = Client(str(self._address), http=http)
        for session_id in missed:
            try:
                self._know(await client.get(session_id))
            except SessionNotFound:
                self._live.pop(session_id, None)
            except Unreachable as error:
                raise Lost(str(error)) from None

    def _know(self, session: Session) -> None:
        wanted = not self._status or session.status in self._status
        if wanted and not has_ended(session.status):
            self._live[session.session_id] = session
        else:
            self._live.pop(session.session_id, None)
        self.pending.setdefault(session.session_id, session)
        self.pending[session.session_id] = session
        self.changed.set()


async def follow_sessions(
    url: str,
    status: Sequence[SessionStatus] = (),
    *,
    codec: Literal["json", "msgpack"] = "json",
    give_up_after: float | None = None,
    http: aiohttp.ClientSession | None = None,
) -> AsyncGenerator[Session, None]:
    """The sessions there are (the newest 500, oldest first), then each that begins or changes, for ever.

    With `status`, only those; one that leaves is given once more, as it is then. Who is slow gets the newest state of
    each session, not every one in between. After a reconnect sessions may be given again, unchanged. Raises Refused,
    and Unreachable when there has been no gateway for `give_up_after` seconds (never, unless given).
    """
    feed = _Feed(url, status, codec, give_up_after)
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

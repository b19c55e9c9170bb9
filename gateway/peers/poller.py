"""Polls the database for what the bus has not reported: without a bus always, with one when letters may be missing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.peers.catch_up import CatchUp
from turnwire.gateway.peers.feed_news import FeedNews
from turnwire.gateway.peers.letters import SessionNews
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.protocol.errors import StorageUnavailable
from turnwire.store.event_log import READ_WINDOW
from turnwire.store.mongo import Store
from turnwire.store.sessions import SessionQuery, SessionRecord

_log = logging.getLogger("turnwire.peers")
_REST = 2
"""After each window, pause for this many times as long as the reading took, but no longer than between two rounds:
others come first, but watchers wait for news."""
_ROUNDS = 10
"""While the bus works, one in this many rounds is done. A session with a publisher here and no watchers is also read in
only one of this many rounds, because its next append shows whether another gateway has written."""
_MAX_FEED = 500
"""Maximum number of sessions elsewhere that are read in one round, for the feed."""
_NEW_SESSIONS = timedelta(seconds=30)
"""For the feed, sessions are read that started at most this long ago: clocks of gateways differ."""


class Poller:
    """Reads, every `interval` seconds, the next positions and the stored fields of sessions that are watched here."""

    def __init__(
        self,
        store: Store,
        sessions: LiveSessions,
        watched: Collection[str],
        catch_up: CatchUp,
        feed: FeedNews,
        *,
        interval: float,
        is_told: Callable[[], bool],
        erased: Callable[[str], None],
    ) -> None:
        """`is_told` returns whether the bus works, so that most rounds can be skipped.

        `erased` is called with the id of each session that another gateway has erased.
        """
        self._store = store
        self._sessions = sessions
        self._watched = watched
        self._catch_up = catch_up
        self._feed = feed
        self._interval = interval
        self._is_told = is_told
        self._erased = erased
        self._erasures: set[str] = set()
        """The erasures that have been reported, for as long as their notes exist."""
        self._soon = asyncio.Event()
        self._round = 0
        self._sure_as_of = store.events.troubles
        """The count of the storage's troubles when the heads of watched sessions were last known to be in their
        logs."""
        self._feed_place = 0

    def look_soon(self) -> None:
        """Do a round at once, because letters may be missing."""
        self._soon.set()

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._interval):
                    await self._soon.wait()
            except TimeoutError:
                pass  # nothing came up before the next round
            self._round += 1
            missed = self._soon.is_set() or self._sure_as_of != self._store.events.troubles
            if missed or not self._is_told() or self._round % _ROUNDS == 0:
                self._soon.clear()
                await self._look()

    async def _look(self) -> None:
        try:
            await self.look_at_erasures()
            await self.look_at_sessions()
            if self._feed.has_subscribers:
                await self.look_for_the_feed()
        except StorageUnavailable:
            self._soon.set()
            await asyncio.sleep(self._interval)
        except Exception:
            _log.exception("unexpected error")

    async def look_at_erasures(self) -> None:
        """Report new erasures. Their notes stay for longer than any round takes. Raises StorageUnavailable."""
        noted = {each.key: each.session_id for each in await self._store.erasures.notes()}
        for key in noted.keys() - self._erasures:
            self._erased(noted[key])
        self._erasures = set(noted)

    # --- sessions in memory ------------------------------------------------------------------------------------------

    async def look_at_sessions(self) -> None:
        """Read what is new of sessions in memory. Raises StorageUnavailable."""
        live = self._sessions.live
        troubles = self._store.events.troubles
        in_doubt, self._sure_as_of = troubles != self._sure_as_of, troubles
        watched = tuple(self._watched)
        for start in range(0, len(watched), READ_WINDOW):
            some = [live[session_id] for session_id in watched[start : start + READ_WINDOW] if session_id in live]
            await self._read_window(some, positions=True, in_doubt=in_doubt)
        share = tuple(live.values())[self._round % _ROUNDS :: _ROUNDS]
        for start in range(0, len(share), READ_WINDOW):
            unwatched = [each for each in share[start : start + READ_WINDOW] if _is_published_only(each.state)]
            await self._read_window(unwatched, positions=False)

    async def _read_window(self, window: Sequence[LiveSession], *, positions: bool, in_doubt: bool = False) -> None:
        if not window:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        began = loop.time()
        heads = {each.session_id: each.state.record.last_seq for each in window}
        if in_doubt:  # watchers must learn that the log has lost what they were shown
            for session_id in await self._store.events.lost({each.session_id: each.state.head for each in window}):
                self._look_again(session_id)
        if positions:
            lives = {each.session_id: each.state.record.life for each in window}
            next_ones = {key: (range(head + 1, head + 2), lives[key]) for key, head in heads.items()}
            for session_id in await self._store.events.read_spans(next_ones):
                self._look_at(session_id)
        for record in await self._store.sessions.load_all(list(heads)):
            self._take_over(record)
        await asyncio.sleep(min(_REST * (loop.time() - began), self._interval))

    def _look_at(self, session_id: str) -> None:
        live = self._sessions.live.get(session_id)
        if live is not None:
            self._catch_up.look(live)

    def _look_again(self, session_id: str) -> None:
        live = self._sessions.live.get(session_id)
        if live is not None:
            self._sessions.learn(live.state.record)

    def _take_over(self, record: SessionRecord) -> None:
        live = self._sessions.live.get(record.session_id)
        if live is not None and live.state.is_behind(record):
            self._sessions.learn(record)

    # --- the feed ----------------------------------------------------------------------------------------------------

    async def look_for_the_feed(self) -> None:
        """Read new sessions, and some of those known at other gateways, for the feed. Raises StorageUnavailable."""
        sessions = self._store.sessions
        since = utc_now() - _NEW_SESSIONS
        self._deliver(await sessions.page(SessionQuery(limit=_MAX_FEED, started_after=since)))
        going_on = self._feed.going_on
        if self._feed_place >= len(going_on):
            self._feed_place = 0
        asked = going_on[self._feed_place : self._feed_place + _MAX_FEED]
        self._feed_place += len(asked)
        self._deliver(await sessions.load_all(asked))

    def _deliver(self, records: Sequence[SessionRecord]) -> None:
        self._feed.deliver([SessionNews(record.session(), [record.status]) for record in records])


def _is_published_only(state: SessionState) -> bool:
    """Return whether the session has a publisher here and nobody watches it."""
    return state.publisher is not None and state.audience is None

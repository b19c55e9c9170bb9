"""Erases sessions: their own tasks hide them, then they are removed from the store, even if the client that asked is
gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from turnwire.gateway.clock import utc_now
from turnwire.gateway.live.context import Context
from turnwire.gateway.live.items import EraseItem
from turnwire.gateway.sessions.live_sessions import LiveSessions
from turnwire.protocol.errors import NoSuchSession, SessionErased
from turnwire.store.archive.objects import ArchiveUnavailable
from turnwire.store.erasures import Erasure
from turnwire.store.session_record import SessionRecord
from turnwire.store.waiting import persist, storage_deadline

TEND_SECONDS: Final = 60.0
_LATE: Final = timedelta(seconds=120)
"""Seconds after which every gateway has heard of an erasure, because gateways look at the notes of erasures. None
writes to the session any more."""
_log = logging.getLogger("turnwire.sessions")


class Erasing:
    """Owner of the removals that are under way here, one for each session."""

    def __init__(
        self,
        context: Context,
        sessions: LiveSessions,
        forget_texts: Callable[[str], Awaitable[None]],
        *,
        rest_timeout: float,
    ) -> None:
        """`forget_texts` removes what the search knows about a session, and returns when that is done."""
        self._context = context
        self._sessions = sessions
        self._erasures = context.store.erasures
        self._forget_texts = forget_texts
        self._rest_timeout = rest_timeout
        self._removing: dict[str, asyncio.Task[None]] = {}
        sessions.finish_erasure = self.finish

    async def erase(
        self, session_id: str, *, force: bool, only_if: Callable[[SessionRecord], bool] | None = None
    ) -> bool:
        """Erase the session. Return once nothing is left of it and its id is free; the result says whether it existed.

        A session that no longer meets `only_if` when its task comes to it stays, and the result is False.

        Raises PublisherConnected unless `force` is set, and StorageUnavailable if it takes long: the erasure then
        continues, and may be requested again.
        """
        async with storage_deadline(self._rest_timeout):
            hidden = await self._hide(session_id, force=force, only_if=only_if)
            return await self.finish(session_id) or hidden

    async def _hide(self, session_id: str, *, force: bool, only_if: Callable[[SessionRecord], bool] | None) -> bool:
        while True:
            try:
                live = await self._sessions.open(session_id)
            except NoSuchSession:
                return False
            done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            live.submit(EraseItem(force, done, only_if))
            try:
                return await done
            except SessionErased:
                continue  # a new session of this id may exist now, and is meant

    async def finish(self, session_id: str) -> bool:
        """Wait until a hidden session of this id is removed. Return whether there was one."""
        found = await self._erasures.marked(session_id, utc_now())
        if found is None:
            return False
        await asyncio.shield(self._removal(found))
        return True

    def _removal(self, erasure: Erasure) -> asyncio.Task[None]:
        """Return the task that removes the session. It has its own task because the client may go away."""
        task = self._removing.get(erasure.key)
        if task is None:
            task = self._removing[erasure.key] = asyncio.get_running_loop().create_task(self._remove(erasure))
            task.add_done_callback(lambda _: self._removing.pop(erasure.key, None))
        return task

    async def _remove(self, erasure: Erasure) -> None:
        await persist(lambda: self._erasures.erase_log(erasure))
        await self._forget_texts(erasure.session_id)
        await persist(lambda: self._erase_archive(erasure))
        await persist(lambda: self._erasures.free(erasure))
        if not self._context.shared_database and not erasure.archived:
            await persist(lambda: self._erasures.forget(erasure))

    async def _erase_archive(self, erasure: Erasure) -> None:
        if erasure.archived:
            await self._context.store.archive.erase(erasure.session_id, erasure.life)

    async def tend(self) -> None:
        """Complete unfinished erasures, begun here or by a gateway that is gone. Raises StorageUnavailable."""
        for erasure in await self._erasures.notes():
            is_marked = await self._erasures.is_marked(erasure)
            if is_marked:
                _log.info("session %r: its erasure is finished", erasure.session_id)
                removal = self._removal(erasure)
                if not erasure.archived:  # otherwise it may take until the archive is back
                    await removal
            elif utc_now() - erasure.begun_at >= _LATE:
                await self._forget(erasure, was_hidden=is_marked is None)

    async def _forget(self, erasure: Erasure, *, was_hidden: bool) -> None:
        """Forget an erasure, after another look for late events, unless the archive does not answer."""
        if was_hidden:  # otherwise nobody was told that it would be erased
            await self._erasures.erase_log(erasure)
            try:
                await self._erase_archive(erasure)
            except ArchiveUnavailable:
                return
        await self._erasures.forget(erasure)

    async def run(self, prepared: asyncio.Event) -> None:
        """Complete unfinished erasures at the start, and then from time to time."""
        await prepared.wait()
        while True:
            await persist(self.tend)
            await asyncio.sleep(TEND_SECONDS)

    async def stop(self) -> None:
        """Stop the removals. The next start completes them."""
        for task in tuple(self._removing.values()):
            task.cancel()
        await asyncio.gather(*self._removing.values(), return_exceptions=True)

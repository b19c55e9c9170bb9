"""One endpoint served by this gateway: the sessions to tell it about, whose turn it is, and what is written."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final

from msgspec import Struct

from turnwire.gateway.clock import utc_now
from turnwire.gateway.sessions.requests import Requests
from turnwire.gateway.webhooks.choosing import Choice
from turnwire.gateway.webhooks.known import Known
from turnwire.gateway.webhooks.schedule import GIVE_UP_AFTER, next_delay
from turnwire.gateway.webhooks.sending import NotTaken, Sending
from turnwire.gateway.webhooks.telling import Counts, Telling
from turnwire.gateway.webhooks.turns import Turns
from turnwire.protocol.errors import NoSuchSession, StorageUnavailable, TurnwireError
from turnwire.protocol.messages import Session
from turnwire.protocol.times import format_time
from turnwire.store.event_log import EventLog
from turnwire.store.telling.endpoints import Endpoint, EndpointStore, Report
from turnwire.store.telling.progress import ProgressStore, Told
from turnwire.store.waiting import persist

HANDS: Final = 8
"""The most messages to one endpoint that are under way at a time, each about another session."""
WRITE_SECONDS: Final = 1.0
"""Pause between two writes of progress. After a crash, messages that the endpoint took since the last one are repeated.
"""
_NOTE_SECONDS: Final = 10.0
_TROUBLE_SECONDS: Final = 0.5
_LOOK_SECONDS: Final = 30.0
"""Pause between two searches for sessions of other gateways, in case the feed has missed one."""
_log = logging.getLogger("turnwire.webhooks")


class Parts(Struct, frozen=True):
    """What all endpoints of a gateway share."""

    requests: Requests
    log: EventLog
    endpoints: EndpointStore
    progress: ProgressStore
    sending: Sending
    counts: Counts
    clock: Callable[[], float]
    """The loop's clock."""
    end_grace: float
    """Seconds for which a session takes events after its end."""
    most_sessions: int
    """The most sessions for which one endpoint's progress is kept in memory. Further sessions are found in the store
    when there is room."""
    shared: bool
    """Whether other gateways use the database."""


class Round:
    """An endpoint, served by this gateway until `stop`. Owner of its tasks."""

    def __init__(self, endpoint: Endpoint, parts: Parts, over: Callable[[], None]) -> None:
        """`over` is called when the round becomes `lost`."""
        self.endpoint = endpoint
        self.lost = False
        """Whether the round is to be stopped, because another gateway has the endpoint now, or because it has been
        disabled."""
        self._parts = parts
        self._over = over
        self._choice = Choice(endpoint.events)
        self._known = Known(endpoint, parts.progress, most=parts.most_sessions, end_grace=parts.end_grace)
        self._turns = Turns()
        known = self._known
        self._telling = Telling(
            parts.requests, parts.log, parts.sending, parts.counts, changed=known.changed, over=known.over
        )
        self._woken = asyncio.Event()
        self._loaded = False
        self._disabling: str | None = None
        self._delivered = 0
        self._delivered_at = endpoint.report.delivered_at
        self._last_error = endpoint.report.last_error
        self._noted_at = self._looked_at = float("-inf")
        self._writing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._keep_up()), *(loop.create_task(self._hand()) for _ in range(HANDS))]
        for task in self._tasks:
            task.add_done_callback(_report_failure)

    async def stop(self, *, write: bool = True) -> None:
        """Stop sending, and `write` the progress that is not written yet, if the storage answers."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if write:
            with suppress(StorageUnavailable):
                await self._write(note=True)

    def configure(self, endpoint: Endpoint) -> None:
        """Adopt what an operator has changed, and try the failed messages again at once."""
        self.endpoint = endpoint
        self._choice = Choice(endpoint.events)
        self._turns.rush()
        self._woken.set()

    # --- told by the feed --------------------------------------------------------------------------------------------

    def changed(self, session: Session) -> None:
        """Take in news of a session that has begun, gone on, ended or been amended."""
        if not self._loaded:
            return  # `_look` will find it in the store
        told = self._known.told.get(session.session_id)
        if told is None:
            if not self._known.meet(session, utc_now()):
                return
        elif told.created and session.ended_at is None and not self._choice.wants_events:
            return
        self._wake(session.session_id)

    def erased(self, session_id: str) -> None:
        """Forget an erased session: stop telling the endpoint about it, and drop its progress."""
        self._turns.forget(session_id)
        self._known.forget(session_id)

    def _wake(self, session_id: str) -> None:
        self._turns.wake(session_id)
        self._woken.set()

    # --- sending -----------------------------------------------------------------------------------------------------

    async def _hand(self) -> None:
        while self._disabling is None:
            session_id = self._turns.take(self._parts.clock())
            if session_id is None:
                await self._idle()
            else:
                await self._serve(session_id)

    async def _idle(self) -> None:
        """Wait until there is news, or until a failed message is due again."""
        self._woken.clear()
        due = self._turns.next_due()
        with suppress(TimeoutError):
            async with asyncio.timeout(None if due is None else max(0.0, due - self._parts.clock())):
                await self._woken.wait()

    async def _serve(self, session_id: str) -> None:
        told = self._known.told.get(session_id)
        if told is None:
            self._turns.forget(session_id)
            return
        pause, more = None, False
        try:
            more = await self._telling.tell(self.endpoint, self._choice, told)
        except NotTaken as failure:
            pause = self._failed(told, failure)
        except NoSuchSession:
            self.erased(session_id)
        except TurnwireError:
            pause = _TROUBLE_SECONDS
        except Exception:
            _log.exception("webhook %s: session %r cannot be told", self.endpoint.webhook_id, session_id)
            pause = _LOOK_SECONDS
        if self._known.told.get(session_id) is not told:
            return  # erased in the meantime
        if pause is None:
            self._turns.done(session_id, more=more)
        else:
            self._turns.later(session_id, self._parts.clock() + pause)

    def _failed(self, told: Told, failure: NotTaken) -> float | None:
        """Record a message that was not taken. Return the pause before the next attempt."""
        now = utc_now()
        failing_for = told.failed(now)
        self._parts.counts.failed += 1
        self._known.changed(told)
        self._last_error = f"{format_time(now)} {failure}"
        pause = None if failure.gone else next_delay(told.failures, failing_for, random.random, failure.asked)
        if pause is None:
            hours = round(failing_for / 3600)
            self._disabling = f"{failure}" if failure.gone else f"a message was not accepted for {hours} h: {failure}"
            self._woken.set()
        return pause

    # --- knowing, and writing ----------------------------------------------------------------------------------------

    async def _keep_up(self) -> None:
        """Load the progress, then keep finding sessions and writing progress."""
        await persist(self._load)
        while not self.lost:
            with suppress(StorageUnavailable):
                await self._look()
                await self._write()
                await self._disable()
            await asyncio.sleep(WRITE_SECONDS)

    async def _load(self) -> None:
        now = utc_now()
        for told in await self._parts.progress.load(self.endpoint.progress_key):
            since = told.failing_since
            if since is not None and (
                since < self.endpoint.enabled_at or (now - since).total_seconds() >= GIVE_UP_AFTER
            ):
                told.taken()
            self._known.told[told.session_id] = told
            self._wake(told.session_id)
        self._loaded = True

    async def _look(self) -> None:
        """Find sessions that are not known yet. Without other gateways, the feed reports all that begin after that."""
        now = self._parts.clock()
        due = self._known.searching is not None or now - self._looked_at >= _LOOK_SECONDS
        if due and (self._parts.shared or self._known.behind):
            for session_id in await self._known.look(utc_now(), wants_events=self._choice.wants_events):
                self._wake(session_id)
            self._looked_at = self._parts.clock()
        elif not self._parts.shared and not self._known.behind:
            self._known.seen_until = utc_now()

    async def _write(self, *, note: bool = False) -> None:
        async with self._writing:
            await self._known.write(self.endpoint.progress_key)
            now = self._parts.clock()
            if note or now - self._noted_at >= _NOTE_SECONDS:
                self._noted_at = now
                moment = utc_now()
                mark = self._known.mark(moment)
                if not await self._parts.endpoints.note(self.endpoint, mark, self.report()):
                    self._lose()
                    return
                await self._known.settle(self.endpoint.progress_key, mark, moment, self._turns.are_idle)

    @property
    def waiting(self) -> int:
        """The number of sessions with something to tell."""
        return len(self._turns)

    def report(self) -> Report:
        """Return the state of the endpoint."""
        if self._telling.delivered != self._delivered:
            self._delivered, self._delivered_at = self._telling.delivered, utc_now()
        failing = sum(told.failures > 0 for told in self._known.told.values())
        return Report(len(self._turns), failing, self._delivered_at, self._last_error, self._told_until())

    def _told_until(self) -> datetime:
        """Return the time before which all sessions began that have been told, apart from those that are failing."""
        told = self._known.told
        pending = [told[each] for each in self._turns.pending() if each in told]
        return min([self._known.seen_until, *(each.started_at for each in pending if not each.failures)])

    def _lose(self) -> None:
        self.lost = True
        self._over()

    async def _disable(self) -> None:
        """Store and log that the endpoint is disabled. Nothing is lost: it goes on from there once it is enabled."""
        reason = self._disabling
        if reason is None:
            return
        await self._write(note=True)
        await self._parts.endpoints.disable(self.endpoint, utc_now(), reason)
        self._parts.counts.disabled += 1
        self._lose()
        _log.error(
            "webhook %s to %s is disabled: %s; enable it with `turnwire webhook enable %s`",
            self.endpoint.webhook_id,
            self.endpoint.url,
            reason,
            self.endpoint.webhook_id,
        )


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("a task of a webhook ended", exc_info=task.exception())

"""Tells an endpoint about one session: its beginning, its events and its end, in this order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from turnwire.gateway.clock import utc_now
from turnwire.gateway.sessions.requests import Requests, View
from turnwire.gateway.webhooks.choosing import CREATED, Choice, name_of
from turnwire.gateway.webhooks.messages import Message, about_event, about_session
from turnwire.gateway.webhooks.sending import Sending
from turnwire.protocol.messages import Event
from turnwire.protocol.times import parse_time
from turnwire.store.event_log import READ_WINDOW, EventLog
from turnwire.store.telling.endpoints import Endpoint
from turnwire.store.telling.progress import Told


class Counts(Struct):
    """Counts of what the endpoints of this gateway have been sent."""

    delivered: int = 0
    failed: int = 0
    disabled: int = 0
    """How often an endpoint has been disabled."""


class Telling:
    """Tells one endpoint about sessions. If a message is not taken, only the turn of its session ends."""

    def __init__(
        self,
        requests: Requests,
        log: EventLog,
        sending: Sending,
        counts: Counts,
        *,
        changed: Callable[[Told], None],
        over: Callable[[Told], None],
    ) -> None:
        """`changed` is called each time the endpoint has taken something, or much was passed over. `over` is called for
        a session that is told to its end."""
        self._requests = requests
        self._log = log
        self._sending = sending
        self._counts = counts
        self._changed = changed
        self._over = over
        self.delivered = 0
        """The number of messages that the endpoint has taken from this gateway."""

    async def tell(self, endpoint: Endpoint, choice: Choice, told: Told) -> bool:
        """Send what is due, and record the progress in `told`. Return whether there is more.

        Raises NotTaken, NoSuchSession, StorageUnavailable.
        """
        view = await self._requests.view(told.session_id)
        turn = _Turn(self, endpoint, choice, told, view)
        await turn.begin()
        if await turn.tell_events(self._log):
            return True
        await turn.end()
        return False

    async def send(self, endpoint: Endpoint, told: Told, message: Message) -> None:
        await self._sending.send(endpoint.url, message, endpoint.secrets_at(utc_now()))
        self._counts.delivered += 1
        self.delivered += 1
        told.taken()

    def note(self, told: Told) -> None:
        self._changed(told)

    def end(self, told: Told) -> None:
        self._over(told)


class _Turn:
    """What is told about one session in one turn.

    Only what the endpoint has taken is worth a write: what it does not want is passed over again after a crash.
    """

    def __init__(self, telling: Telling, endpoint: Endpoint, choice: Choice, told: Told, view: View) -> None:
        self._telling = telling
        self._endpoint = endpoint
        self._choice = choice
        self._told = told
        self._view = view
        told.meet(view.life, parse_time(view.session.started_at))

    async def begin(self) -> None:
        if not self._told.created:
            taken = await self._tell_life(CREATED, self._view.session.started_at, self._view.created_at)
            self._told.created = True
            if taken:
                self._telling.note(self._told)

    async def tell_events(self, log: EventLog) -> bool:
        """Tell a window of events. Return whether there are more."""
        told, session = self._told, self._view.session
        if not self._choice.wants_events or told.seq > session.last_seq:  # the latter: a log that has lost its end
            return self._pass_over(session.last_seq)
        last = min(told.seq + READ_WINDOW, session.last_seq)
        if told.seq == last:
            return False
        events = await log.read(told.session_id, told.seq + 1, last, self._view.life)
        for event in events:
            await self._tell_event(event)
            told.seq = event.seq
        if len(events) == READ_WINDOW:
            self._telling.note(told)
        return last < session.last_seq

    def _pass_over(self, seq: int) -> bool:
        self._told.seq = seq
        return False

    async def _tell_event(self, event: Event) -> None:
        name = name_of(event.type, event.payload)
        if not self._choice.takes_event(event.type, name) or self._is_old(event.timestamp):
            return
        message = about_event(self._endpoint.webhook_id, self._view.session, self._view.life, name, event)
        await self._telling.send(self._endpoint, self._told, message)
        self._told.seq = event.seq
        self._telling.note(self._told)

    async def end(self) -> None:
        session = self._view.session
        if session.ended_at is not None and self._told.ended_at is None:
            taken = await self._tell_life(f"session.{session.status}", session.ended_at, parse_time(session.ended_at))
            self._told.ended_at = parse_time(session.ended_at)
            if taken:
                self._telling.note(self._told)
            self._telling.end(self._told)

    async def _tell_life(self, name: str, at: str, happened: datetime) -> bool:
        """Send the message, if it is wanted. Return whether it was. `at`: the time that the message shows. `happened`:
        when this gateway's storage saw it, which may be later."""
        if not self._choice.takes(name) or happened < self._endpoint.floor:
            return False
        message = about_session(self._endpoint.webhook_id, self._view.session, self._view.life, name, at)
        await self._telling.send(self._endpoint, self._told, message)
        return True

    def _is_old(self, timestamp: str) -> bool:
        """Return whether the event happened before the endpoint's floor, the time from which it is told. Every event of
        a session created since then is new, whatever the clock of its bot says."""
        floor = self._endpoint.floor
        return self._view.created_at < floor and parse_time(timestamp) < floor

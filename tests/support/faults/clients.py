"""The writers of the one-process world: publishers that resend, REST callers that repeat."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta

from tests.support.faults.world import CONFIG, POISON, SHARED, Gateway, World
from tests.support.history import Answer, Publishing, RestAppend, entry_of, sending_of
from turnwire.gateway.live.items import AppendItem, ClaimItem
from turnwire.gateway.live.live_session import LiveSession
from turnwire.protocol import times
from turnwire.protocol.control.messages import CommandPush
from turnwire.protocol.errors import CloseCode, StorageUnavailable, TurnwireError
from turnwire.protocol.messages import AckItem, EventIn, NackItem, Opened, Session
from turnwire.store.waiting import storage_deadline

_WINDOW = 8
"""How many unanswered events a publisher allows itself."""


class Socket:
    """A publisher's connection, as the session sees it."""

    def __init__(self) -> None:
        self.epoch = 0
        self.holder = "bot"
        self.finished = False
        self.gone = False
        """Whether the client has lost this connection."""
        self.over = False
        """Whether it was closed because the session has ended."""
        self.ends: list[Session] = []
        """The session's end, once for each time the client was told."""
        self.changed = asyncio.Event()
        self.publishing: Publishing | None = None
        self.at_cut: list[Callable[[], None]] = []
        self.at_command: Callable[[CommandPush], None] = lambda command: None
        self.told: Callable[[Answer], None] = lambda answer: None

    def acked(self, acks: Sequence[AckItem], weight: int) -> None:
        self.replied(acks, weight)

    def replied(self, replies: Sequence[AckItem | NackItem], weight: int) -> None:
        if self.gone or self.publishing is None:
            return
        for reply in replies:
            if isinstance(reply, AckItem):
                answer = Answer(reply.event_id, reply.seq, reply.duplicate)
            else:
                answer = Answer(reply.event_id, code=reply.code, retryable=reply.retryable)
            self.publishing.answers.append(answer)
            self.told(answer)
        self.changed.set()

    def may_take_from(self, holder: str) -> bool:
        return True

    def took_over(self, holder: str | None) -> None:
        """Ignore whose session it was before."""

    def superseded(self) -> None:
        self.finished = True
        self.cut()

    def session_ended(self, session: Session) -> None:
        """Do nothing: the publisher goes on until the test stops it."""
        self.ends.append(session)

    def commanded(self, command: CommandPush) -> None:
        if not self.gone:
            self.at_command(command)

    def completed(self, session: Session) -> None:
        self.ends.append(session)
        self.finished = True
        self.cut()

    def close(self, code: int, reason: str) -> None:
        self.over = code == CloseCode.SESSION_ENDED
        self.cut()

    def cut(self) -> None:
        if not self.gone:
            for notice in self.at_cut:
                notice()
        self.gone = True
        self.changed.set()


class Bot:
    """Publishes its events in order, over as many connections as needed. Now and then it repeats or changes one."""

    def __init__(self, world: World, name: str, session_id: str, count: int) -> None:
        self.world = world
        self.name = name
        self.history = world.histories[session_id]
        self.pending: deque[EventIn] = deque(self._event(number) for number in range(count))
        self._count = count
        self._answered: list[EventIn] = []
        self._over = False

    def _event(self, number: int) -> EventIn:
        random = self.world.random
        event_id = f"{SHARED}-{number % 7}" if random.random() < 0.1 else f"{self.name}-{number}"
        if random.random() < 0.03:
            event_id = f"{self.name}-{POISON}-{number}"
            self.history.refusable.add(event_id)
        payload = {"of": event_id} if event_id.startswith(SHARED) else {"of": event_id, "number": number}
        timestamp = None
        if random.random() < 0.3:
            # The time has microseconds, and is cut as the codec cuts it.
            stamp = self.world.now() + timedelta(seconds=random.randint(-3, 3), microseconds=random.randrange(1000))
            timestamp = times.to_utc(stamp)
        return EventIn(event_id, "user_speech", payload, timestamp)

    async def run(self) -> None:
        while self.goes_on() and not self._over:
            gateway = self.world.gateway()
            try:
                live, socket = await self._connect(gateway)
            except TurnwireError:
                await self.world.pause(0.3)
                continue
            seat = self.world.promises.seated(self.history.session_id, self.world.stamp())
            socket.at_cut.append(lambda seat=seat: seat.append(self.world.stamp()))  # type: ignore[misc]
            await self._stream(live, socket)
            if not self.pending and not socket.gone:
                await self.leave(live, socket)
            socket.cut()
            for session in socket.ends:
                self.world.promises.told_end(session, "a publisher's news")
            self._over |= socket.over
            await self.world.pause(0.5)
            live.release(socket)

    def goes_on(self) -> bool:
        """Whether anything is left that needs a connection."""
        return bool(self.pending)

    def connected(self, live: LiveSession, socket: Socket, opened: Opened) -> None:
        """Take note of an open connection."""

    async def leave(self, live: LiveSession, socket: Socket) -> None:
        """Finish the work on the connection, because every event has been answered."""

    async def between(self) -> None:
        """Wait between two frames."""

    async def _connect(self, gateway: Gateway) -> tuple[LiveSession, Socket]:
        sessions, process = gateway.parts.sessions, gateway.process
        socket = Socket()
        socket.told = self._told
        gateway.at_crash.append(socket.cut)
        done: asyncio.Future[Opened] = asyncio.get_running_loop().create_future()
        known = self.world.promises.answered[self.history.session_id]
        async with storage_deadline(CONFIG.rest_timeout):
            live = await sessions.open(self.history.session_id)
            live.submit(ClaimItem(socket, done))
            opened = await done
        self._over |= socket.over
        self.world.promises.read(opened.session, known, None, "an opened")
        if socket.gone:
            raise StorageUnavailable()
        publishing = Publishing(self.name, process, socket.epoch, opened.last_seq, opened.last_event_id)
        socket.publishing = publishing
        self.history.publishings.append(publishing)
        # An event that REST may have stored says nothing about those sent before it.
        ours = (opened.last_event_id or SHARED).startswith(self.name)
        if ours and any(event.event_id == opened.last_event_id for event in self.pending):
            while self._answered_first().event_id != opened.last_event_id:
                pass
        self.connected(live, socket, opened)
        return live, socket

    def _told(self, answer: Answer) -> None:
        self.world.promises.told(self.history.session_id, answer.seq)
        if answer.seq is not None and answer.event_id is not None:
            now = asyncio.get_running_loop().time()
            self.world.acked[self.history.session_id].append((now, answer.seq, answer.event_id))

    def _answered_first(self) -> EventIn:
        event = self.pending.popleft()
        self._answered.append(event)
        return event

    async def _stream(self, live: LiveSession, socket: Socket) -> None:
        """Send until every event is answered, or the connection is lost."""
        random, publishing = self.world.random, socket.publishing
        assert publishing is not None
        sent = settled = extra = 0  # number of pending events; answers seen; events sent beside the pending ones
        extras: set[int] = set()
        while self.pending and not socket.gone:
            while settled < len(publishing.answers):
                if settled not in extras:
                    self._answered_first()
                    sent -= 1
                settled += 1
            room = min(len(self.pending) - sent, _WINDOW - sent)
            if room > 0 and self._answered and random.random() < 0.1:
                extras.add(len(publishing.sent))
                extra += 1
                self._send(live, socket, [self._again()])
            elif room > 0:
                frame = list(self.pending)[sent : sent + random.randint(1, min(4, room))]
                self._send(live, socket, frame)
                sent += len(frame)
            elif self.pending and settled == len(publishing.answers):
                socket.changed.clear()
                await socket.changed.wait()
            await self.between()
            await self.world.pause(0.05)
            if random.random() < 0.1 and not self.world.calm:
                return

    def _again(self) -> EventIn:
        event = self.world.random.choice(self._answered)
        payload = event.payload if self.world.random.random() < 0.7 else {"changed": True}
        return EventIn(event.event_id, event.type, payload, event.timestamp)

    def _send(self, live: LiveSession, socket: Socket, events: Sequence[EventIn]) -> None:
        copies = [EventIn(event.event_id, event.type, event.payload, event.timestamp) for event in events]
        assert socket.publishing is not None
        socket.publishing.sent += map(sending_of, copies)
        for event in copies:
            self.world.promises.sent(self.history.session_id, event.event_id, self.world.stamp())
        live.submit(AppendItem(copies, 100, self.world.now(), publisher=socket))


class Caller:
    """Appends by REST, and repeats requests without an answer."""

    def __init__(self, world: World, session_id: str, count: int) -> None:
        self.world = world
        self.history = world.histories[session_id]
        self.count = count

    async def run(self) -> None:
        for number in range(self.count):
            ids = [f"{SHARED}-{number % 7}"] if self.world.random.random() < 0.4 else [f"{SHARED}-own-{number}"]
            ids += [f"{SHARED}-more-{number}-{each}" for each in range(self.world.random.randint(0, 2))]
            while not await self._append([EventIn(each, "user_speech", {"of": each}) for each in ids]):
                await self.world.pause(0.3)
            await self.world.pause(0.5)

    async def _append(self, events: list[EventIn]) -> bool:
        append = RestAppend("caller", [sending_of(event) for event in events])
        self.history.rest.append(append)
        for event in events:
            self.world.promises.sent(self.history.session_id, event.event_id, self.world.stamp())
        try:
            stored = await self.world.gateway().parts.requests.append(self.history.session_id, events, 50 * len(events))
        except TurnwireError as error:
            return not error.retryable
        self.world.promises.told(self.history.session_id, max(each.event.seq for each in stored))
        append.stored = [entry_of(each.event) for each in stored]
        return True

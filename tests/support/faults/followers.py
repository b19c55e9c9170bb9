"""The subscribers of the one-process world. They resume where they were, at any gateway."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from tests.support.faults.world import Gateway, World
from tests.support.history import Entry, Following, entry_of
from turnwire.gateway.connections.outbox import FrameOutbox
from turnwire.gateway.live.live_session import LiveSession
from turnwire.gateway.watching.encoded_batch import EncodedBatch, Picture
from turnwire.gateway.watching.subscription import EventSubscription, Frames, Watching
from turnwire.protocol.codec import JSON
from turnwire.protocol.errors import StorageUnavailable, TurnwireError
from turnwire.protocol.messages import JsonObject


class Reader(EventSubscription):
    """One subscription of a subscriber. What it takes from its outbox counts as received."""

    numbers = 0

    def __init__(self, world: World, gateway: Gateway, live: LiveSession, following: Following) -> None:
        watching = Watching(gateway.parts.replays, asyncio.get_running_loop().time, lambda: None)
        if (peers := gateway.parts.peers) is not None:
            watching = replace(watching, watch_changed=peers.watch_changed)
        super().__init__(watching, live.state, following.after_seq, FrameOutbox(self._take, None, 600))
        Reader.numbers += 1
        self._number = Reader.numbers
        self._world = world
        self._following = following
        self.woken = asyncio.Event()
        self.gone = False

    def __hash__(self) -> int:
        return self._number  # gives a set of readers the same order in every run

    async def _take(self, frame: bytes) -> None:
        await self._world.pause(0.05)
        if self.gone:
            return
        if frame.startswith(b"caughtUp "):
            self._following.caught_up.append((len(self._following.received), int(frame.split()[1])))
        elif frame != b"session":
            self._following.received.append(entry_of(JSON.decode_event(frame)))

    def frames(self, batch: EncodedBatch) -> Frames:
        return [(JSON.encode(event), event.seq) for event in batch.events]

    def signal_frame(self, key: str, payload: JsonObject) -> bytes:
        raise AssertionError("nobody signals")

    def session_frame(self, picture: Picture) -> bytes:
        return b"session"

    def caught_up_frame(self) -> bytes:
        return b"caughtUp %d" % self.cursor

    def fell_behind(self) -> None:
        self.woken.set()

    def session_erased(self) -> None:
        self.cut()

    def break_off(self) -> None:
        assert self._world.backups, "the database keeps what it has confirmed"
        self.cut()

    def cut(self) -> None:
        self.gone = True
        self.woken.set()

    async def serve(self) -> None:
        """Receive until the connection is cut off."""
        self.start()
        while not self.gone:
            while self.behind and not self.gone:
                await self.outbox.room()
                try:
                    await self.catch_up()
                except StorageUnavailable:
                    await asyncio.sleep(0.2)
            await self.woken.wait()
            self.woken.clear()
        self.close()
        self.outbox.close()


class Dashboard:
    """Follows a session to its end, over as many subscriptions as needed."""

    def __init__(self, world: World, name: str, session_id: str) -> None:
        self.world = world
        self.name = name
        self.history = world.histories[session_id]
        self.history.must_have_all.add(name)
        self._received: list[Entry] = []
        self._restored = 0
        self._longest = 12.0 if world.backups else 3.0

    async def run(self) -> None:
        while not (self.world.calm and len(self._received) == self.world.head(self.history.session_id)):
            gateway = self.world.gateway()
            try:
                parts = gateway.parts
                live = await parts.sessions.open(self.history.session_id)
                with live.held():
                    await parts.requests.bring_up_to_date(live)
            except TurnwireError:
                await self.world.pause(0.2)
                continue
            if parts.sessions.live.get(live.session_id) is not live:
                self.world.promises.broken.append(f"{self.name} follows a session that {gateway.name} has let go")
            self._start_again_if_told(live)
            cursor = len(self._received)
            if cursor > live.state.record.last_seq:
                self.world.promises.broken.append(f"{self.name} has seq={cursor}, {gateway.name} does not take it")
                return
            following = Following(self.name, cursor)
            self.history.followings.append(following)
            await self._follow(gateway, Reader(self.world, gateway, live, following))
            self._received += following.received
        if self.world.backups and self._received != self._log():
            self.world.promises.broken.append(f"{self.name} has another log than there is")

    def _log(self) -> list[Entry]:
        """Return the log as clients see it."""
        return [replace(entry, epoch=None) for entry in self.world.entries(self.history.session_id)]

    def _start_again_if_told(self, live: LiveSession) -> None:
        """Start again, as a client does that is told of a restored database, or that its position does not exist."""
        beyond = self.world.backups and len(self._received) > live.state.record.last_seq
        if beyond or self._restored != self.world.database.restored:
            self._restored = self.world.database.restored
            self._received = []

    async def _follow(self, gateway: Gateway, reader: Reader) -> None:
        gateway.at_crash.append(reader.cut)
        asyncio.get_running_loop().call_later(self.world.random.uniform(0, self._longest), reader.cut)
        await reader.serve()

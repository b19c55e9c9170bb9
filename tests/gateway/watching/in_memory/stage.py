"""A session and its audience, without sockets."""

from __future__ import annotations

from tests.support.in_memory import STARTED
from tests.support.passes import Passes
from turnwire.gateway.connections.outbox import FrameOutbox
from turnwire.gateway.live.context import WaitingBytes
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.watching.audience import Watchers
from turnwire.gateway.watching.encoded_batch import EncodedBatch, Picture
from turnwire.gateway.watching.subscription import EventSubscription, Frames, Watching
from turnwire.protocol.messages import Event, JsonObject, SessionStatus
from turnwire.store.sessions import SessionRecord

OFFER_SECONDS = 20e-6


async def nowhere(_frame: bytes) -> None:
    """Send a frame, which no test waits for."""


class Listener(EventSubscription):
    """A watcher that notes what it is given: seqs, and the status and lastSeq of each picture of the session."""

    def __init__(self, state: SessionState, order: list[Listener], passes: Passes) -> None:
        watching = Watching(None, lambda: 0.0, lambda: None)  # type: ignore[arg-type]  # the store is not asked
        super().__init__(watching, state, state.record.last_seq, outbox())
        self.order = order
        self.passes = passes
        self.heard: list[int | str] = []
        self.was_behind = False

    def frames(self, batch: EncodedBatch) -> Frames:
        self.order.append(self)
        self.passes.done(OFFER_SECONDS)
        self.heard += [event.seq for event in batch.events]
        return [(b"", batch.last)]

    def signal_frame(self, key: str, payload: JsonObject) -> bytes:
        self.passes.done(OFFER_SECONDS)
        self.heard.append(f"{key}{payload.get('n', '')}")
        return b""

    def session_frame(self, picture: Picture) -> bytes:
        self.order.append(self)
        self.passes.done(OFFER_SECONDS)
        self.heard.append(f"{picture.session.status} {picture.session.last_seq}")
        return b""

    def caught_up_frame(self) -> bytes:
        return b""

    def fell_behind(self) -> None:
        self.was_behind = True

    def session_erased(self) -> None:
        self.heard.append("erased")

    def break_off(self) -> None:
        self.heard.append("broken off")


def outbox() -> FrameOutbox:
    return FrameOutbox(nowhere, None, 10_000_000)


class Stage:
    """A session that is watched by this many, and the order in which they are served."""

    def __init__(self, watchers: int) -> None:
        self.state = SessionState(SessionRecord("s", "en", STARTED), 0.0)
        self.order: list[Listener] = []
        self.passes = Passes()
        self.storing = WaitingBytes(0)
        self.state.audience = Watchers(self.passes.clock)
        self.listeners = [self.join() for _ in range(watchers)]

    def join(self) -> Listener:
        listener = Listener(self.state, self.order, self.passes)
        listener.start()
        return listener

    @property
    def audience(self) -> Watchers:
        assert isinstance(self.state.audience, Watchers)
        return self.state.audience

    def advance(self, count: int = 1) -> None:
        """Move the head over so many events, as `advancing` does: in one step."""
        first = self.state.record.last_seq + 1
        self.state.record.last_seq += count
        self.audience.advanced([event(seq) for seq in range(first, first + count)], self.storing)

    def change(self, status: SessionStatus | None = None) -> None:
        """Change the session's status, or anything else, as `advancing` does."""
        self.state.record.status = status or self.state.record.status
        self.audience.session_changed(self.state.session())

    def heard(self) -> list[list[int | str]]:
        return [listener.heard for listener in self.listeners]


def event(seq: int) -> Event:
    return Event(f"e{seq}", "s", "user_speech", {}, "2025-01-01T00:00:00.000Z", seq)


def round_seconds(watchers: int) -> float:
    """Return how long it takes to serve so many."""
    return watchers * OFFER_SECONDS

"""The picture of a session is encoded once for all who get the same frame."""

from __future__ import annotations

from tests.gateway.watching.in_memory.stage import nowhere
from tests.support.in_memory import STARTED
from turnwire.gateway.connections.outbox import FrameOutbox
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.sockets.session_subscription import SessionSubscription
from turnwire.gateway.watching.subscription import Watching
from turnwire.protocol.codec import JSON, MSGPACK, Codec
from turnwire.protocol.errors import TurnwireError
from turnwire.protocol.messages import Message, SessionPush
from turnwire.store.sessions import SessionRecord


class Sent(FrameOutbox):
    """An outbox that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__(nowhere, None, 10_000_000)
        self.frames: list[bytes] = []

    def put(self, frame: bytes, key: object = None, of: object = None) -> None:
        self.frames.append(frame)


class Screen:
    """A viewer that counts the messages it encodes."""

    def __init__(self, codec: Codec, made: list[Message]) -> None:
        self.codec, self.made = codec, made
        self.outbox = Sent()

    def frame(self, payload: bytes) -> bytes:
        return payload

    def framed(self, message: Message) -> bytes:
        self.made.append(message)
        return self.codec.encode(message)

    def lags(self, subscription: SessionSubscription) -> None:
        raise AssertionError("the outbox has room")

    def give_up(self, subscription: SessionSubscription, reason: TurnwireError) -> None:
        raise AssertionError(reason)


def test_watchers_with_one_codec_and_ref_share_the_frame_that_shows_the_session() -> None:
    state, made = SessionState(SessionRecord("s", "en", STARTED), 0.0), list[Message]()
    watching = Watching(None, lambda: 0.0, lambda: None)  # type: ignore[arg-type]  # the store is not asked
    groups = [(JSON, "a"), (JSON, "a"), (MSGPACK, "a"), (JSON, "b"), (JSON, "a")]
    screens = [Screen(codec, made) for codec, _ in groups]
    for screen, (_, ref) in zip(screens, groups, strict=True):
        SessionSubscription(screen, watching, ref, state, 0).start()
    audience = state.audience
    assert audience is not None
    for status in ("active", "completed"):
        state.record.status = status
        made.clear()
        audience.session_changed(state.session())
        pushes = [each for each in made if isinstance(each, SessionPush)]
        assert [(push.ref, push.session.status) for push in pushes] == [("a", status), ("a", status), ("b", status)]
        expected = [codec.encode(SessionPush(ref, state.session())) for codec, ref in groups]
        assert [screen.outbox.frames[-1] for screen in screens] == expected

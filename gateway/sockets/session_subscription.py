"""A session that is watched over a WebSocket."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from turnwire.gateway.connections.outbox import FrameOutbox
from turnwire.gateway.live.state import SessionState
from turnwire.gateway.watching.encoded_batch import EncodedBatch, Group, Picture
from turnwire.gateway.watching.subscription import EventSubscription, Frames, Watching
from turnwire.protocol.codec import Codec
from turnwire.protocol.errors import ErrorCode, SessionErased, TurnwireError
from turnwire.protocol.messages import CaughtUp, JsonObject, Message, Session, SessionPush


class Viewer(Protocol):
    """The connection that a session is sent on."""

    @property
    def codec(self) -> Codec: ...

    @property
    def outbox(self) -> FrameOutbox: ...

    def frame(self, payload: bytes) -> bytes: ...
    def framed(self, message: Message) -> bytes: ...

    def lags(self, subscription: SessionSubscription) -> None:
        """Called when the outbox is full and the subscription has more to send. Call `catch_up` when there is room."""

    def give_up(self, subscription: SessionSubscription, reason: TurnwireError) -> None:
        """Drop the subscription because of what has become of its session, and tell the client."""


class SessionSubscription(EventSubscription):
    """A session that is watched over a WebSocket."""

    __slots__ = ("frame_bytes", "group", "viewer")

    def __init__(self, viewer: Viewer, watching: Watching, ref: str, state: SessionState, after_seq: int) -> None:
        super().__init__(watching, state, after_seq, viewer.outbox)
        self.viewer = viewer
        self.group = _group(viewer.codec, ref)
        self.frame_bytes = viewer.outbox.frame_bytes

    @property
    def ref(self) -> str:
        return self.group[1]

    def frames(self, batch: EncodedBatch) -> Frames:
        return batch.frames(self.group, self.frame_bytes)

    def signal_frame(self, key: str, payload: JsonObject) -> bytes:
        codec = self.viewer.codec
        return self.viewer.frame(codec.signal_frame(self.ref, self.state.session_id, key, codec.encode_value(payload)))

    def session_frame(self, picture: Picture) -> bytes:
        return picture.frame(self.group, self._make_session_frame)

    def _make_session_frame(self, session: Session) -> bytes:
        return self.viewer.framed(SessionPush(self.ref, session))

    def caught_up_frame(self) -> bytes:
        return self.viewer.framed(CaughtUp(self.ref, self.cursor))

    def fell_behind(self) -> None:
        self.viewer.lags(self)

    def session_erased(self) -> None:
        self.viewer.give_up(self, SessionErased(self.state.session_id))

    def break_off(self) -> None:
        lost = TurnwireError(ErrorCode.INTERNAL, "the database has lost events of this session; subscribe again")
        self.viewer.give_up(self, lost)


@lru_cache(1024)
def _group(codec: Codec, ref: str) -> Group:
    """Return the group of this codec and ref. One object serves all: most clients use the same few refs."""
    return codec, ref

"""The wire shapes of resources and of both sockets, as msgspec Structs: commands, replies and pushes.

`protocol.token_messages` holds the messages about tokens, `protocol.control.messages` those about commands to a bot,
and `protocol.bodies` the bodies of REST. On the wire, field names are camelCase and times are ISO-8601 UTC with
milliseconds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from turnwire.protocol.control.messages import Accept, CommandPush, CommandResult, CommandStatePush, SendCommand
from turnwire.protocol.errors import ErrorCode
from turnwire.protocol.limits import Limits as Limits  # noqa: PLC0414 -- belongs to the messages
from turnwire.protocol.shape import JsonObject as JsonObject  # noqa: PLC0414 -- belongs to the messages
from turnwire.protocol.shape import OrNull
from turnwire.protocol.shape import Shape as Shape  # noqa: PLC0414 -- belongs to the messages
from turnwire.protocol.shape import Timestamp as Timestamp  # noqa: PLC0414 -- belongs to the messages
from turnwire.protocol.talk.few import Interruptions as Interruptions  # noqa: PLC0414 -- belongs to the messages
from turnwire.protocol.talk.few import LastLine as LastLine  # noqa: PLC0414 -- belongs to the messages
from turnwire.protocol.talk.few import SessionFigures as SessionFigures  # noqa: PLC0414 -- belongs to the messages
from turnwire.protocol.talk.few import Summary as Summary  # noqa: PLC0414 -- belongs to the messages
from turnwire.protocol.token_messages import Authenticated, Expiring

EventType = Literal["user_speech", "bot_speech", "system"]
SessionStatus = Literal["initiated", "active", "completed", "failed"]
InitialStatus = Literal["initiated", "active"]
FinalStatus = Literal["completed", "failed"]
REF_CHARS = 128
"""Maximum number of characters in a `ref`."""


# --- resources -------------------------------------------------------------------------------------------------------


class Session(Shape):
    """One conversation."""

    session_id: str
    status: SessionStatus
    language: str
    started_at: Timestamp
    ended_at: Timestamp | None = None
    metadata: JsonObject = field(default_factory=dict)
    last_seq: int = 0
    last_event_at: Timestamp | None = None
    end_reason: str | None = None
    figures: SessionFigures | None = None
    """Null if the figures are not stored, or not known yet."""
    commands: list[str] | UnsetType = UNSET
    """The commands that the connected bot accepts; absent while no bot that accepts any is connected."""
    archived: bool | UnsetType = UNSET
    """True once the session's events are in the archive; absent before."""
    quiet_ms: int | UnsetType = UNSET
    """In the snapshots of feeds: how long ago the last event of a live session arrived, in milliseconds by
    the gateway's clock. Absent if the gateway that answers cannot tell."""


class Event(Shape, gc=False):
    """One immutable record of a session, as stored."""

    event_id: str
    session_id: str
    type: EventType
    payload: JsonObject
    timestamp: Timestamp
    seq: int


TIMESTAMP = Annotated[datetime, Meta(tz=True)] | None


class EventIn(Shape, gc=False):
    """An event as a client sends it. `timestamp` may have any UTC offset; None means the gateway's clock."""

    event_id: str
    type: EventType
    payload: JsonObject
    timestamp: TIMESTAMP = None


class BadEvent(Struct, frozen=True):
    """A placeholder for a refused event of a frame. It becomes a nack."""

    event_id: str | None
    code: ErrorCode
    message: str


# --- publisher: client to gateway ------------------------------------------------------------------------------------


class Append(Shape, tag_field="type", tag="append"):
    """Events to store, in order: 1 to 500 of them."""

    events: list[EventIn]


class Signal(Shape, tag_field="type", tag="signal"):
    """An ephemeral message: fanned out, never stored, never acked. It replaces an older one of the same key."""

    key: str
    payload: JsonObject


class Complete(Shape, tag_field="type", tag="complete"):
    """The end of the session, after everything sent before it."""

    status: OrNull[FinalStatus] = "completed"
    reason: str | None = None

    def __post_init__(self) -> None:
        self.status = self.status or "completed"


class Ping(Shape, tag_field="type", tag="ping"):
    ref: Raw | UnsetType = UNSET


# --- publisher: gateway to client ------------------------------------------------------------------------------------


class OpenedLimits(Shape):
    max_in_flight: int
    max_event_bytes: int
    max_frame_bytes: int
    max_batch_events: int = 500
    """Maximum number of events in one `append`."""
    ping_interval_ms: int = 20_000
    """The milliseconds between two pings of the gateway. A connection counts as lost after 1.5 times as long without a
    frame."""
    max_depth: int = 64
    """Maximum number of levels in a payload, counting the object itself."""
    min_receive_bytes: int = 0
    """The receive limit that a client needs: no frame that it gets is longer. 0: an older gateway did not say."""


class Opened(Shape, tag_field="type", tag="opened"):
    """The first message: how far the log reaches. The client drops events up to `lastEventId` and resends the rest."""

    session: Session
    epoch: int
    last_seq: int
    last_event_id: str | None
    limits: OpenedLimits
    server_time: Timestamp


class AckItem(Shape, omit_defaults=True, gc=False):
    event_id: str
    seq: int
    duplicate: bool = False


class Ack(Shape, tag_field="type", tag="ack"):
    """Events that are durable, with their positions."""

    acks: list[AckItem]


class NackItem(Shape):
    event_id: str | None
    code: ErrorCode
    message: str
    retryable: bool


class Nack(Shape, tag_field="type", tag="nack"):
    """Events that are refused for good."""

    nacks: list[NackItem]


class Completed(Shape, tag_field="type", tag="completed"):
    session: Session


# --- both sockets: gateway to client ---------------------------------------------------------------------------------


class Pong(Shape, tag_field="type", tag="pong"):
    ref: Raw | UnsetType = UNSET


class Error(Shape, tag_field="type", tag="error", omit_defaults=True):
    """An error about a message, a subscription or the connection. The connection stays open."""

    code: ErrorCode
    message: str
    retryable: bool = field()
    ref: str | None = None


class Goaway(Shape, tag_field="type", tag="goaway"):
    reason: str
    reconnect_after_ms: int


# --- subscriber: client to gateway -----------------------------------------------------------------------------------


class Subscribe(Shape, tag_field="type", tag="subscribe", omit_defaults=True):
    """A request to watch one session (`sessionId`, `afterSeq`) or the feed (`feed`, `status`, `summaries`)."""

    ref: str
    session_id: str | None = None
    after_seq: int | None = None
    feed: Literal["sessions"] | None = None
    status: list[SessionStatus] | None = None
    summaries: OrNull[bool] = False

    def __post_init__(self) -> None:
        self.summaries = bool(self.summaries)


class Unsubscribe(Shape, tag_field="type", tag="unsubscribe"):
    ref: str


# --- subscriber: gateway to client -----------------------------------------------------------------------------------


class Subscribed(Shape, tag_field="type", tag="subscribed", omit_defaults=True):
    """The answer to `subscribe`: the subscription is live. `session` and `lastSeq` are absent for the feed."""

    ref: str
    session: Session | None = None
    last_seq: int | UnsetType = UNSET
    min_receive_bytes: int | UnsetType = UNSET
    """The receive limit that a client needs: no frame that it gets is longer."""


class Events(Shape, tag_field="type", tag="events"):
    ref: str
    session_id: str
    events: list[Event]


class CaughtUp(Shape, tag_field="type", tag="caughtUp"):
    """The mark where the replay joins the live stream. `seq` is the last one that was delivered."""

    ref: str
    seq: int


class SignalPush(Shape, tag_field="type", tag="signal"):
    ref: str
    session_id: str
    key: str
    payload: JsonObject


class SessionPush(Shape, tag_field="type", tag="session"):
    """A session that has changed. A feed that asked for summaries gets `summary` once the conversation is read."""

    ref: str
    session: Session
    summary: Summary | UnsetType = UNSET


class SessionsPush(Shape, tag_field="type", tag="sessions"):
    """The sessions of a feed at its start.

    A feed that asked for summaries gets those known so far in `summaries`, by sessionId. The others follow in
    `session` messages.
    """

    ref: str
    sessions: list[Session]
    summaries: dict[str, Summary] | UnsetType = UNSET


class Erased(Shape, tag_field="type", tag="erased"):
    """To a feed: the session has been erased. If the feed shows this id again, it is a new session."""

    ref: str
    session_id: str


class Unsubscribed(Shape, tag_field="type", tag="unsubscribed"):
    ref: str


_ToBoth = Pong | Error | Goaway | Expiring | Authenticated
PublisherCommand = Append | Signal | Complete | Ping | Accept | CommandResult
PublisherReply = Opened | Ack | Nack | Completed | CommandPush | _ToBoth
SubscriberCommand = Subscribe | Unsubscribe | Ping | SendCommand
_Watched = Subscribed | Events | CaughtUp | SignalPush | SessionPush | SessionsPush | Erased | Unsubscribed
SubscriberPush = _Watched | CommandStatePush | _ToBoth
Message = PublisherCommand | PublisherReply | SubscriberCommand | SubscriberPush

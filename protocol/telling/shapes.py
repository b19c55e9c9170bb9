"""The shapes of webhooks: the bodies of REST requests about endpoints, and the messages that endpoints receive."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from turnwire.protocol.messages import Event, Session
from turnwire.protocol.shape import Shape, Timestamp

MAX_URL_CHARS = 2048
MAX_EVENTS = 64
"""Maximum number of events that one endpoint may name."""
MAX_NAME_CHARS = 128
EVENTS_PATTERN = r"^(\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?)$"
"""What an endpoint may name: a type such as session.completed, a prefix such as tool.*, or * for all."""
MAX_OVERLAP_SECONDS = 604_800
DEFAULT_OVERLAP_SECONDS = 86_400
"""For how many seconds the older secret goes on signing after a rotation."""


class NewWebhook(Shape, kw_only=True):
    """Body of `POST /webhooks`."""

    url: str
    events: list[str]
    webhook_id: str | None = None
    """If it is left out, the gateway chooses one. If it is given, the request can be repeated safely."""
    description: str | None = None


class AmendWebhook(Shape, kw_only=True):
    """Body of `PATCH /webhooks/{id}`. `enabled: true` restarts a disabled endpoint where it stopped."""

    url: str | UnsetType = UNSET
    events: list[str] | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


class RotateWebhook(Shape):
    """Body of `POST /webhooks/{id}/rotate`, which may be absent."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=MAX_OVERLAP_SECONDS)] = DEFAULT_OVERLAP_SECONDS


class ReplayWebhook(Shape):
    """Body of `POST /webhooks/{id}/replay`."""

    since: Timestamp


class Webhook(Shape, kw_only=True):
    """An endpoint and its state, as of a few seconds ago.

    `waiting`: the number of sessions with something to tell. `failing`: the number of those whose last message was not
    taken.
    """

    webhook_id: str
    url: str
    events: list[str]
    description: str | None
    created_at: Timestamp
    state: Literal["active", "disabled"]
    disabled_at: Timestamp | None
    disabled_reason: str | None
    waiting: int
    failing: int
    delivered_at: Timestamp | None
    """When the last message was taken."""
    last_error: str | None
    """Why the last message that failed was not taken, and when."""
    told_until: Timestamp
    """Everything has been told about all sessions that began earlier, apart from those that are failing."""


class WebhookWithSecret(Webhook, kw_only=True):
    """An endpoint with its secret, which no later answer shows again."""

    secret: str


class WebhookList(Shape):
    webhooks: list[Webhook]


class WebhookTrial(Shape):
    """The result of a test message. `error` says why the endpoint did not take it."""

    taken: bool
    took_ms: int
    error: str | None


class MessageData(Shape, omit_defaults=True):
    """What a message is about. `event` is present if the message is about one event."""

    session_id: str
    session: Session
    event: Event | UnsetType = UNSET


class WebhookMessage(Shape):
    """The body that an endpoint receives. `timestamp`: when the event or change happened."""

    type: str
    timestamp: Timestamp
    data: MessageData


class TrialMessage(Shape):
    """The body of a test message, of the type `webhook.test`."""

    type: str
    timestamp: Timestamp
    data: dict[str, Any]

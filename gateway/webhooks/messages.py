"""The messages that endpoints receive, and their ids. Pure."""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from turnwire.protocol.codec import JSON
from turnwire.protocol.messages import Event, Session
from turnwire.protocol.telling.shapes import MessageData, TrialMessage, WebhookMessage
from turnwire.protocol.times import format_time

TEST: Final = "webhook.test"


class Message(Struct, frozen=True):
    """A message to an endpoint. Its id stays the same for every attempt, after a restart, and in a replay."""

    id: str
    body: bytes


def _id_of(webhook_id: str, session_id: str, life: int | None, place: str) -> str:
    told = "\n".join((webhook_id, str(life), place, session_id))
    return f"msg_{blake2b(told.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"


def about_session(webhook_id: str, session: Session, life: int | None, name: str, at: str) -> Message:
    """`name`: the message's type, such as session.created. `at`: when that happened, as a wire time."""
    body = WebhookMessage(name, at, MessageData(session.session_id, session))
    return Message(_id_of(webhook_id, session.session_id, life, name), JSON.encode_value(body))


def about_event(webhook_id: str, session: Session, life: int | None, name: str, event: Event) -> Message:
    body = WebhookMessage(name, event.timestamp, MessageData(session.session_id, session, event))
    return Message(_id_of(webhook_id, session.session_id, life, str(event.seq)), JSON.encode_value(body))


def trial_message(webhook_id: str, now: datetime, unique: str) -> Message:
    body = TrialMessage(TEST, format_time(now), {"webhookId": webhook_id})
    return Message(f"msg_{unique}", JSON.encode_value(body))

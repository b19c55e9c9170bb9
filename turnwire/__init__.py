"""The Turnwire client: publish a conversation, follow one, or watch them all.

from turnwire import Publisher, follow_sessions, subscribe
"""

from __future__ import annotations

from turnwire import errors
from turnwire.client import Client
from turnwire.delivery import Acked
from turnwire.feed import follow_sessions
from turnwire.protocol.messages import Event, EventIn, NackItem, Session, SignalPush
from turnwire.publisher import Publisher
from turnwire.spooled_outbox import SpooledCall, read_spool
from turnwire.subscriber import Subscription, subscribe

__all__ = [
    "Acked",
    "Client",
    "Event",
    "EventIn",
    "NackItem",
    "Publisher",
    "Session",
    "SignalPush",
    "SpooledCall",
    "Subscription",
    "errors",
    "follow_sessions",
    "read_spool",
    "subscribe",
]

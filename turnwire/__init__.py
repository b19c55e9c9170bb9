"""The Turnwire client: publish a conversation, follow one, or watch them all.

from turnwire import Publisher, follow_sessions, subscribe

Each name is imported at its first use, so that `import turnwire` takes almost no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from turnwire import errors
    from turnwire.client import Client
    from turnwire.feed import follow_sessions
    from turnwire.protocol.messages import Event, EventIn, NackItem, Session, SignalPush
    from turnwire.publisher import Publisher
    from turnwire.publishing.delivery import Acked
    from turnwire.publishing.spooled_outbox import SpooledCall, read_spool
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

_MODULES = {
    "Acked": "publishing.delivery",
    "Client": "client",
    "Event": "protocol.messages",
    "EventIn": "protocol.messages",
    "NackItem": "protocol.messages",
    "Publisher": "publisher",
    "Session": "protocol.messages",
    "SignalPush": "protocol.messages",
    "SpooledCall": "publishing.spooled_outbox",
    "Subscription": "subscriber",
    "follow_sessions": "feed",
    "read_spool": "publishing.spooled_outbox",
    "subscribe": "subscriber",
}


if not TYPE_CHECKING:  # a type checker would accept any name because of it

    def __getattr__(name: str) -> object:
        if name == "errors":
            return import_module("turnwire.errors")
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"turnwire.{_MODULES[name]}"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

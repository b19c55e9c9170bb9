"""The AsyncAPI 3.0 document of both WebSockets, served at `/asyncapi.json`."""

from __future__ import annotations

from inspect import getdoc
from types import UnionType
from typing import Any, Final, get_args

from turnwire.gateway.openapi.credentials import SECURITY_SCHEMES
from turnwire.gateway.openapi.schemas import Schema, message_schemas, ref
from turnwire.protocol.codec import CODECS
from turnwire.protocol.messages import (
    Limits,
    PublisherCommand,
    PublisherReply,
    SubscriberCommand,
    SubscriberPush,
)
from turnwire.protocol.paging import MAX_LANGUAGE_CHARS
from turnwire.protocol.token_messages import Auth
from turnwire.version import __version__

PUBLISHER_SENDS: Final = PublisherCommand | Auth
SUBSCRIBER_SENDS: Final = SubscriberCommand | Auth
SENT: Final[dict[str, tuple[UnionType, UnionType]]] = {
    "publish": (PUBLISHER_SENDS, PublisherReply),
    "subscribe": (SUBSCRIBER_SENDS, SubscriberPush),
}
"""Channel → the messages of its client, and those of the gateway. A channel has the name of its operation in
OpenAPI."""
_INTRODUCTION = f"""\
The two WebSockets of a gateway. `/openapi.json` describes its other routes. A gateway may be behind any host and path
prefix: set the variables of the server. Of the subprotocols {" and ".join(f"`{name}`" for name in CODECS)} the first
carries these messages as text frames of JSON, the second as binary frames of MessagePack. Clients must ignore unknown
fields and unknown types.
"""


def asyncapi_document(limits: Limits) -> Schema:
    """Return the document for a gateway with these limits, as plain JSON values."""
    kinds = {kind.__name__: kind for sides in SENT.values() for side in sides for kind in get_args(side)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Turnwire",
            "version": __version__,
            "description": _INTRODUCTION,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {"gateway": _server()},
        "channels": {"publish": _publish_channel(limits), "subscribe": _subscribe_channel()},
        "operations": _operations(),
        "components": {
            "messages": {name: _message(kind) for name, kind in sorted(kinds.items())},
            "schemas": message_schemas(limits, kinds.values()),
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _server() -> Schema:
    return {
        "host": "{host}",
        "pathname": "{prefix}",
        "protocol": "ws",
        "description": "This gateway. Behind TLS the protocol is wss.",
        "variables": {
            "host": {"default": "127.0.0.1:3000", "description": "Host and port."},
            "prefix": {"default": "/", "description": "The path under which a proxy serves the gateway."},
        },
        "security": [{"$ref": "#/components/securitySchemes/bearer"}],
    }


def _publish_channel(limits: Limits) -> Schema:
    language = {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_LANGUAGE_CHARS,
        "description": "If given, the session is created if it does not exist.",
    }
    channel = _channel(
        "publish",
        "/sessions/{sessionId}/publish",
        "Publish a session's events",
        "A session has one publisher; a newer one takes over. Each event gets an `ack` when durable, or a `nack`.",
        {"language": language},
    )
    longest = f"The session's id, 1 to {limits.id_chars} characters, percent-encoded as UTF-8."
    return {**channel, "parameters": {"sessionId": {"description": longest}}}


def _subscribe_channel() -> Schema:
    return _channel(
        "subscribe",
        "/subscribe",
        "Watch sessions",
        "One socket carries many subscriptions: to single sessions, from any seq on, without gaps, and to the feed of "
        "all sessions.",
        {},
    )


def _channel(name: str, address: str, title: str, description: str, query: Schema) -> Schema:
    kinds = [kind for side in SENT[name] for kind in get_args(side)]
    binding: Schema = {"method": "GET", "bindingVersion": "0.1.0"}
    if query:
        binding["query"] = {"type": "object", "properties": query}
    return {
        "address": address,
        "title": title,
        "description": description,
        "servers": [{"$ref": "#/servers/gateway"}],
        "messages": {tag_of(kind): {"$ref": f"#/components/messages/{kind.__name__}"} for kind in kinds},
        "bindings": {"ws": binding},
    }


def _operations() -> Schema:
    """Return what the gateway does: it receives what clients send."""
    made: Schema = {}
    for channel, (received, sent) in SENT.items():
        for action, side in (("receive", received), ("send", sent)):
            whose = "publisher" if channel == "publish" else "subscriber"
            made[f"{action}{'From' if action == 'receive' else 'To'}{whose.capitalize()}"] = {
                "action": action,
                "channel": {"$ref": f"#/channels/{channel}"},
                "summary": f"What a {whose} {'sends' if action == 'receive' else 'gets'}.",
                "messages": [{"$ref": f"#/channels/{channel}/messages/{tag_of(kind)}"} for kind in get_args(side)],
            }
    return made


def _message(kind: type[Any]) -> Schema:
    summary = (getdoc(kind) or "").partition("\n")[0]
    made: Schema = {"name": tag_of(kind), "title": kind.__name__, "payload": ref(kind.__name__)}
    return {**made, "summary": summary} if summary and kind.__doc__ else made


def tag_of(kind: type[Any]) -> str:
    """Return the `type` of a message."""
    return str(kind.__struct_config__.tag)

"""The AsyncAPI document: complete, and true to what travels over both sockets."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from openapi_schema_validator import OAS31Validator

from tests.support.gateways import Gateway, new_event
from tests.support.sockets import Socket
from turnwire.gateway.openapi.asyncapi import PUBLISHER_SENDS, SENT, SUBSCRIBER_SENDS, asyncapi_document, tag_of
from turnwire.protocol import messages
from turnwire.protocol.messages import Limits, Message, PublisherReply, SubscriberPush

DOCUMENT = asyncapi_document(Limits())
MESSAGES = DOCUMENT["components"]["messages"]


def found(pointer: str) -> Any:
    """Return what a reference in the document leads to."""
    at: Any = DOCUMENT
    for name in pointer.removeprefix("#/").split("/"):
        at = at[name]
    return at


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [each for inner in value.values() for each in references(inner)]
    return [each for inner in value for each in references(inner)] if isinstance(value, list) else []


def check(channel: str, message: dict[str, Any]) -> None:
    """Raise ValidationError unless the channel describes such a message."""
    described = found(found(f"#/channels/{channel}/messages/{message['type']}")["$ref"])
    OAS31Validator({**described["payload"], "components": DOCUMENT["components"]}).validate(message)


async def test_the_asyncapi_document_is_served(gateway: Gateway) -> None:
    assert await gateway.get("/asyncapi.json") == DOCUMENT


def test_every_reference_in_the_asyncapi_document_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        assert found(reference), reference


def test_every_message_of_the_protocol_is_in_the_asyncapi_document() -> None:
    sent = {kind.__name__ for kind in (*get_args(Message), messages.Append)}
    described = {name for name in MESSAGES if name != "Auth"}
    assert described == sent
    for name, message in MESSAGES.items():
        schema = found(message["payload"]["$ref"])
        assert schema["properties"]["type"]["enum"] == [message["name"]], name
        assert "type" in schema["required"], name


def test_each_side_of_a_socket_has_its_own_messages() -> None:
    for name, sides in (
        ("receiveFromPublisher", PUBLISHER_SENDS),
        ("sendToPublisher", PublisherReply),
        ("receiveFromSubscriber", SUBSCRIBER_SENDS),
        ("sendToSubscriber", SubscriberPush),
    ):
        named = [found(each["$ref"])["$ref"] for each in DOCUMENT["operations"][name]["messages"]]
        assert named == [f"#/components/messages/{kind.__name__}" for kind in get_args(sides)]
    for channel, sides in SENT.items():  # no message of one side hides one of the other
        tags = [tag_of(kind) for side in sides for kind in get_args(side)]
        assert sorted(tags) == sorted(DOCUMENT["channels"][channel]["messages"])


async def test_the_messages_of_a_real_call_are_as_the_asyncapi_document_says(gateway: Gateway) -> None:
    seen: set[str] = set()

    async def send(socket: Socket, channel: str, message: dict[str, Any]) -> None:
        check(channel, message)
        seen.add(message["type"])
        await socket.send(message)

    async def receive_until(socket: Socket, channel: str, kind: str) -> None:
        while True:
            message = await socket.receive()
            check(channel, message)
            seen.add(message["type"])
            if message["type"] == kind:
                return

    subscriber = await Socket.connect(gateway, "/subscribe")
    await send(subscriber, "subscribe", {"type": "subscribe", "ref": "f", "feed": "sessions", "summaries": True})
    await receive_until(subscriber, "subscribe", "sessions")
    publisher = await Socket.connect(gateway, "/sessions/call-7/publish?language=en")
    await receive_until(publisher, "publish", "opened")
    await send(subscriber, "subscribe", {"type": "subscribe", "ref": "a", "sessionId": "call-7", "afterSeq": 0})
    await receive_until(subscriber, "subscribe", "caughtUp")
    await send(publisher, "publish", {"type": "append", "events": [new_event("e1"), new_event("e1")]})
    await receive_until(publisher, "publish", "ack")
    await send(publisher, "publish", {"type": "append", "events": [{**new_event("e1"), "type": "system"}]})
    await receive_until(publisher, "publish", "nack")
    await send(publisher, "publish", {"type": "signal", "key": "typing", "payload": {"on": True}})
    await receive_until(subscriber, "subscribe", "signal")
    await send(publisher, "publish", {"type": "ping", "ref": [1]})
    await receive_until(publisher, "publish", "pong")
    await send(publisher, "publish", {"type": "accept", "commands": ["whisper"]})
    command = {"sessionId": "call-7", "commandId": "c1", "command": "whisper", "payload": {"text": "Offer 10 %."}}
    await receive_until(subscriber, "subscribe", "session")
    await send(subscriber, "subscribe", {"type": "command", "ref": "c", **command})
    await receive_until(publisher, "publish", "command")
    await send(publisher, "publish", {"type": "commandResult", "commandId": "c1", "state": "done"})
    await receive_until(subscriber, "subscribe", "commandState")
    await send(publisher, "publish", {"type": "complete"})
    await receive_until(publisher, "publish", "completed")
    await send(subscriber, "subscribe", {"type": "unsubscribe", "ref": "a"})
    await receive_until(subscriber, "subscribe", "unsubscribed")
    await subscriber.send({})
    await receive_until(subscriber, "subscribe", "error")
    assert seen >= {"events", "subscribed", "sessions", "session"}


@pytest.mark.parametrize(
    "message",
    [
        {"type": "append", "events": []},
        {"type": "append", "events": [{"eventId": "", "type": "system", "payload": {}}]},
        {"type": "complete", "status": "active"},
        {"type": "signal", "key": "k"},
    ],
)
def test_messages_that_a_gateway_refuses_are_invalid_by_the_asyncapi_document(message: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=r"should be non-empty|is too short|is not|required"):
        check("publish", message)

"""Making and reading publishers' frames in tests."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from turnwire.protocol.codec import JSON, MSGPACK, Batch, Codec
from turnwire.protocol.errors import TurnwireError
from turnwire.protocol.messages import BadEvent, EventIn, Limits

LIMITS = Limits()
both = pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])


def event(event_id: object = "e1", **fields: Any) -> dict[str, Any]:
    return {"eventId": event_id, "type": "user_speech", "payload": {"text": "hello"}, **fields}


def append(*events: object) -> dict[str, Any]:
    return {"type": "append", "events": list(events)}


def encode(codec: Codec, message: object) -> bytes:
    return msgspec.json.encode(message) if codec is JSON else msgspec.msgpack.encode(message)


def decoded(codec: Codec, message: object, limits: Limits = LIMITS) -> list[EventIn | BadEvent]:
    return batch(codec, encode(codec, message), limits)


def batch(codec: Codec, frame: bytes, limits: Limits = LIMITS) -> list[EventIn | BadEvent]:
    result = codec.decode_publisher(frame, limits)
    assert isinstance(result, Batch)
    return result.events


def refusal(codec: Codec, message: object, limits: Limits = LIMITS) -> TurnwireError:
    with pytest.raises(TurnwireError) as caught:
        codec.decode_publisher(encode(codec, message), limits)
    return caught.value


def bad(found: EventIn | BadEvent) -> BadEvent:
    assert isinstance(found, BadEvent)
    return found


def good_id(found: EventIn | BadEvent) -> str:
    assert isinstance(found, EventIn)
    return found.event_id

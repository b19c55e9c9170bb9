"""Publishers' frames made of bytes, for what an encoder cannot write."""

from __future__ import annotations

import msgspec

from turnwire.protocol.codec import Batch
from turnwire.protocol.errors import ErrorCode
from turnwire.protocol.messages import EventIn


def json_event(event_id: str, payload: bytes = b"{}") -> bytes:
    return b'{"eventId":"%s","type":"system","payload":%s}' % (event_id.encode(), payload)


def json_frame(*events: bytes) -> bytes:
    return b'{"type":"append","events":[' + b",".join(events) + b"]}"


def deep_json(levels: int) -> bytes:
    return (
        b'{"a":' * (levels // 2) + b"[" * (levels - levels // 2) + b"]" * (levels - levels // 2) + b"}" * (levels // 2)
    )


def msgpack_event(event_id: str, payload: bytes = b"\x80") -> bytes:
    return b"\x83\xa7eventId" + msgspec.msgpack.encode(event_id) + b"\xa4type\xa6system\xa7payload" + payload


def msgpack_frame(*events: bytes) -> bytes:
    return b"\x82\xa4type\xa6append\xa6events" + bytes([0x90 + len(events)]) + b"".join(events)


def deep_msgpack(levels: int) -> bytes:
    return b"\x81\xa1a" * (levels // 2) + b"\x91" * (levels - levels // 2 - 1) + b"\x90"


def outcome(result: object) -> list[str | tuple[str | None, ErrorCode]]:
    assert isinstance(result, Batch)
    return [each.event_id if isinstance(each, EventIn) else (each.event_id, each.code) for each in result.events]

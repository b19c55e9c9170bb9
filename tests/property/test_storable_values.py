"""The three ways to decide whether a payload can be stored agree with each other and with the protocol's page."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property.wire_values import encode, hostile_objects, is_json, json_objects, search
from turnwire.protocol.codec import JSON, MSGPACK, Batch, Codec
from turnwire.protocol.errors import InvalidMessage, TooLarge
from turnwire.protocol.messages import EventIn, Limits
from turnwire.protocol.rules import checked_metadata
from turnwire.protocol.salvage import UNDECODABLE
from turnwire.protocol.values import (
    PLAIN_DEPTH,
    PackedObject,
    PlainObject,
    is_storable,
    json_text,
    may_hide_fault,
    object_fault,
    unpacked,
)

pytestmark = pytest.mark.property
both = pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])
LIMITS = Limits()
PLAIN: dict[Codec, Any] = {JSON: msgspec.json.Decoder(PlainObject), MSGPACK: msgspec.msgpack.Decoder(PlainObject)}


@st.composite
def json_texts(draw: st.DrawFn) -> str:
    """Return an object with some of its characters written as escapes."""
    text = json.dumps(draw(json_objects | hostile_objects(JSON)), ensure_ascii=draw(st.booleans()), allow_nan=False)
    escaped = draw(st.sets(st.sampled_from("$refid"))) if draw(st.booleans()) else set()
    return "".join(f"\\u{ord(char):04x}" if char in escaped else char for char in text)


@both
@search(70)
@given(data=st.data(), depth=st.integers(1, 70))
def test_a_value_is_storable_when_the_rules_say_so_and_otherwise_has_a_fault(
    codec: Codec, data: st.DataObject, depth: int
) -> None:
    value = data.draw(hostile_objects(codec) | json_objects)
    assert is_storable(value, depth) == is_json(value, depth)
    assert (object_fault(value, depth) is None) == is_json(value, depth)


@both
@search(70)
@given(data=st.data())
def test_a_value_that_decodes_as_plain_is_storable_unless_a_key_may_be_wrong(codec: Codec, data: st.DataObject) -> None:
    value = data.draw(hostile_objects(codec) | json_objects)
    encoded = encode(codec, value)
    try:
        plain = PLAIN[codec].decode(encoded)
    except UNDECODABLE:
        return
    assert repr(plain) == repr(msgspec.json.decode(encoded) if codec is JSON else msgspec.msgpack.decode(encoded))
    if not may_hide_fault(msgspec.json.encode(plain)):
        assert is_json(plain, PLAIN_DEPTH)


@search(70)
@given(text=json_texts())
def test_no_escape_hides_a_fault_in_a_json_text(text: str) -> None:
    try:
        value = msgspec.json.decode(text)
    except UNDECODABLE:
        return
    if not may_hide_fault(text.encode()) and not is_json(value, 1000):
        with pytest.raises(UNDECODABLE, match=r"."):
            PLAIN[JSON].decode(text.encode())
    found = decode_event(JSON, text.encode())
    assert (found is not None) == is_json(value, LIMITS.depth)
    assert found is None or repr(found.payload) == repr(value)


def decode_event(codec: Codec, payload: bytes) -> EventIn | None:
    batch = codec.decode_publisher(
        b'{"type":"append","events":[{"eventId":"a","type":"system","payload":%s}]}' % payload, LIMITS
    )
    assert isinstance(batch, Batch)
    (event,) = batch.events
    return event if isinstance(event, EventIn) else None


@search(50)
@given(value=json_objects)
def test_ordinary_payloads_take_the_fast_path(value: dict[str, Any]) -> None:
    """Otherwise the fast path would be exact but never used."""
    for codec in (JSON, MSGPACK):
        if is_json(value, PLAIN_DEPTH):
            assert repr(PLAIN[codec].decode(encode(codec, value))) == repr(value)


@search(100)
@given(text=json_texts(), depth=st.integers(1, 70), most=st.integers(2, 300))
def test_metadata_is_refused_like_any_object_and_otherwise_kept_as_it_is(text: str, depth: int, most: int) -> None:
    try:
        metadata = msgspec.json.decode(text)
    except UNDECODABLE:
        return
    fault = object_fault(metadata, depth)
    size = 0 if fault else len(msgspec.json.encode(metadata))
    limits = Limits(depth=depth, metadata_bytes=most)
    if fault is not None:
        with pytest.raises(InvalidMessage, match=f"^{re.escape(f'metadata{fault}')}$"):
            checked_metadata(metadata, limits)
    elif size > most:
        with pytest.raises(TooLarge):
            checked_metadata(metadata, limits)
    else:
        kept = checked_metadata(metadata, limits)
        assert repr(kept) == repr(unpacked(PackedObject(json_text(kept)))) == repr(metadata)

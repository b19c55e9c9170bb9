"""Pruning and marking of frames that a decoder gives up on, compared with a model."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property.wire_values import json_values, search
from turnwire.protocol.salvage import mark_lone_surrogates, prune_deep_json, prune_deep_msgpack

pytestmark = pytest.mark.property

layouts: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}]
)


def pruned(value: Any, keep: int, instead: object, *, empty: bool) -> Any:
    if isinstance(value, dict | list) and keep == 0 and (value or empty):
        return instead
    if isinstance(value, dict):
        return {key: pruned(item, keep - 1, instead, empty=empty) for key, item in value.items()}
    if isinstance(value, list):
        return [pruned(item, keep - 1, instead, empty=empty) for item in value]
    return value


@search(100)
@given(value=json_values, keep=st.integers(1, 6), layout=layouts)
def test_json_is_pruned_at_exactly_the_given_level(value: Any, keep: int, layout: dict[str, Any]) -> None:
    text = json.dumps(value, **layout).encode()
    cut = prune_deep_json(text, keep)
    assert len(cut) == len(text)
    assert repr(json.loads(cut)) == repr(pruned(value, keep, 0, empty=True))
    if json.loads(cut) == value:
        assert cut == text


@search(100)
@given(value=json_values, keep=st.integers(1, 6))
def test_messagepack_is_pruned_at_exactly_the_given_level(value: Any, keep: int) -> None:
    data = msgspec.msgpack.encode(value)
    assert repr(msgspec.msgpack.decode(prune_deep_msgpack(data, keep))) == repr(pruned(value, keep, None, empty=False))
    assert prune_deep_msgpack(data, 50) == data


@search(100)
@given(data=st.binary(max_size=40) | st.text('[]{}",\\:a0 ', max_size=40).map(str.encode), keep=st.integers(1, 4))
def test_pruning_any_bytes_terminates_and_adds_little(data: bytes, keep: int) -> None:
    assert len(prune_deep_json(data, keep)) <= len(data)
    assert len(prune_deep_msgpack(data, keep)) <= len(data)
    assert len(mark_lone_surrogates(data)) == len(data)


@search(100)
@given(text=st.text(st.sampled_from('a\\"\n\ud83d\ude00\U0001f600u'), max_size=12))
def test_exactly_lone_surrogates_are_marked(text: str) -> None:
    written = json.dumps([text]).encode()
    marked = mark_lone_surrogates(written)
    lone = any("\ud800" <= char <= "\udfff" for char in json.loads(written)[0])
    assert (b"\xff" in marked) == lone
    assert lone or marked == written
    assert len(msgspec.json.decode(marked, type=list[msgspec.Raw])) == 1

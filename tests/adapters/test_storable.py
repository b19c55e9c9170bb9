"""Whatever Python value a tool gets or returns becomes a payload that the gateway accepts."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnwire.adapters.storable import MAX_ITEMS, MAX_LEVELS, fields, metadata_of
from turnwire.protocol.values import is_storable
from turnwire.publishing.call import check_metadata

KEYS = st.one_of(st.text(max_size=5), st.integers(), st.sampled_from(["$ref", "$id", "a\0b"]))
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(2**70), max_value=2**70),
    st.floats(),
    st.text(alphabet=st.characters(codec=None), max_size=20),
    st.binary(max_size=5),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(KEYS, inner), st.tuples(inner, inner)),
    max_leaves=30,
)


@pytest.mark.property
@given(VALUES)
def test_any_python_value_becomes_a_storable_payload(value: object) -> None:
    payload = fields(value=value)
    assert is_storable(payload, MAX_LEVELS + 1)
    msgspec.json.encode(payload)


def test_plain_json_values_are_stored_unchanged() -> None:
    plain: dict[str, Any] = {"a": [1, 2.5, "text", True], "b": {"c": None}}
    assert fields(value=plain, missing=None) == {"value": plain}


class Size(enum.Enum):
    SMALL = "small"


@dataclass
class Table:
    seats: int


class Broken:
    def __str__(self) -> str:
        raise RuntimeError


class Model:
    """A model with pydantic's method."""

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        return {"mode": mode}


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (Size.SMALL, "small"),
        (Table(2), "Table(seats=2)"),
        (Broken(), "<Broken>"),
        (Model(), {"mode": "json"}),
        (b"abc", "<3 bytes>"),
        (2**64, "18446744073709551616"),
        (math.nan, "nan"),
        ({1: "one"}, {"1": "one"}),
        ("\ud83d", "?"),
    ],
)
def test_values_that_are_not_json_become_text(value: object, stored: object) -> None:
    assert fields(value=value) == {"value": stored}


@pytest.mark.parametrize(
    "value",
    ["x" * 1_000_000, "ß" * 1_000_000, ["word" * 100] * 10_000, {str(n): "x" * 5000 for n in range(500)}],
    ids=["text", "not ascii", "list", "object"],
)
def test_very_large_values_are_cut_to_the_size_of_an_event(value: object) -> None:
    assert len(msgspec.json.encode(fields(value=value, other="x" * 50_000))) < 100_000


def test_a_long_list_is_cut_to_its_beginning() -> None:
    assert fields(value=range(1000))["value"] == list(range(MAX_ITEMS))


def test_a_value_that_contains_itself_is_cut_at_a_depth() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert is_storable(fields(value=endless), MAX_LEVELS + 1)


@pytest.mark.parametrize("bad", [object(), {1, 2}, math.nan, "\ud83d", 2**70, {7: "x"}])
def test_metadata_that_no_gateway_accepts_becomes_storable(bad: object) -> None:
    metadata = metadata_of({"bot": "b1", "bad": bad})
    check_metadata(metadata)
    assert metadata["bot"] == "b1"


def test_metadata_that_a_gateway_accepts_stays_as_it_is() -> None:
    facts = {"bot": None, "long": "x" * 50_000, "list": list(range(1000)), "nested": {"": [1.0]}}
    assert metadata_of(facts) == facts

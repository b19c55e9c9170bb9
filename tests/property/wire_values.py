"""What clients may send: valid values, invalid ones, and how a test searches among them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from turnwire.protocol.codec import JSON, Codec


def search(examples: int) -> settings:
    """The same examples in every run: a test that passes keeps passing until the code changes."""
    return settings(
        max_examples=examples, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )


def encode(codec: Codec, message: object) -> bytes:
    """Encode as another implementation may: without any check."""
    return msgspec.json.encode(message) if codec is JSON else msgspec.msgpack.encode(message)


# --- values ----------------------------------------------------------------------------------------------------------

keys = st.one_of(st.text(max_size=6), st.sampled_from(["$ref", "$id", "$db", "", "a.b", "$set", "_id", "é", "text"]))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([2**63 - 1, -(2**63), 0, 255, 256, 65_536]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
)
json_values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=6
)
json_objects = st.dictionaries(keys, json_values, max_size=5)

_wrong_scalars = st.sampled_from([2**63, 2**64 - 1, -(2**63) - 1, 10**30, math.nan, math.inf, -math.inf])
_wrong_keys = st.sampled_from(["\0", "a\0b", "$ref", "$id"])


def _nested(value: Any, levels: int) -> Any:
    for level in range(levels):
        value = [value] if level % 2 else {"k": value}
    return value


def hostile_objects(codec: Codec) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that this format can carry, most of which no client should send."""
    wrong: st.SearchStrategy[Any] = _wrong_scalars
    wrong_keys: st.SearchStrategy[Any] = _wrong_keys
    if codec is JSON:  # msgspec writes null for numbers that are not finite
        wrong = wrong.filter(lambda value: isinstance(value, int))
    else:
        wrong = wrong.filter(lambda value: isinstance(value, float) or -(2**63) <= value < 2**64)
        wrong |= st.binary(max_size=4) | st.just(datetime(2025, 1, 1, tzinfo=UTC))
        wrong |= st.builds(msgspec.msgpack.Ext, st.integers(0, 100), st.binary(max_size=4))
        wrong_keys |= st.one_of(st.integers(-5, 300), st.binary(max_size=3), st.none(), st.booleans())
    deep = st.builds(_nested, json_values, st.integers(1, 90))
    values = st.recursive(
        scalars | wrong | deep,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | wrong_keys, inner, max_size=3),
        max_leaves=5,
    )
    return st.dictionaries(keys | _wrong_keys, values, max_size=4)


def is_json(value: Any, max_depth: int) -> bool:
    """The rules for payloads, written independently from the protocol's page."""
    if isinstance(value, dict):
        if max_depth < 1 or {"$ref", "$id"} <= value.keys():
            return False
        return all(
            isinstance(key, str) and "\0" not in key and is_json(item, max_depth - 1) for key, item in value.items()
        )
    if isinstance(value, list):
        return max_depth >= 1 and all(is_json(item, max_depth - 1) for item in value)
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return True
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return isinstance(value, float) and math.isfinite(value)


# --- events ----------------------------------------------------------------------------------------------------------

ids = st.one_of(st.text(min_size=1, max_size=12), st.sampled_from(["e1", "x" * 256, "é" * 256, "\0", "😀"]))
types = st.sampled_from(["user_speech", "bot_speech", "system"])
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.one_of(
    st.datetimes(timezones=offsets),
    st.datetimes(max_value=datetime(1, 1, 3), timezones=offsets),  # noqa: DTZ001 - a bound for the strategy
    st.datetimes(min_value=datetime(9999, 12, 30), timezones=offsets),  # noqa: DTZ001
)


def good_events() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"eventId": ids, "type": types, "payload": st.dictionaries(st.text("abc"), json_values, max_size=4)},
        optional={"timestamp": st.just("2025-12-21T16:00:00.123+05:30"), "extra": json_values},
    ).filter(lambda event: is_json(event["payload"], 64))


def hostile_events(codec: Codec) -> st.SearchStrategy[Any]:
    anything = json_values | hostile_objects(codec)
    wrong_times = st.sampled_from(
        ["2025-12-21T10:30:00", "", "now", "0001-01-01T00:00:00+10:00", "9999-12-31T23:00:00-10:00"]
    )
    return st.one_of(
        st.fixed_dictionaries(
            {
                "eventId": ids | st.sampled_from(["", "x" * 257]) | anything,
                "type": types | st.just("user") | anything,
                "payload": hostile_objects(codec) | json_objects,
            },
            optional={"timestamp": moments.map(datetime.isoformat) | wrong_times | anything},
        ),
        st.dictionaries(st.sampled_from(["eventId", "type", "payload", "timestamp"]), anything),
        anything,
    )


def mutated(frames: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Frames with some bytes changed, cut out, put in or repeated."""

    @st.composite
    def build(draw: st.DrawFn) -> bytes:
        frame = draw(frames)
        for _ in range(draw(st.integers(1, 4))):
            start = draw(st.integers(0, len(frame)))
            end = draw(st.integers(start, min(len(frame), start + 8)))
            middle = draw(
                st.binary(max_size=6)
                | st.just(frame[start:end] * 3)
                | st.sampled_from(
                    [b'"', b"\\", b"\\ud83d", b"\\u0000", b"{", b"]", b"null", b"1e999", b"[" * 1200, b"\x91" * 1200]
                )
            )
            frame = frame[:start] + middle + frame[end:]
        return frame

    return build()

"""REST: every JSON object comes back exactly as it was sent, or is refused."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.support.gateways import Gateway, Json, new_event, new_id

INT64 = 2**63
HEADERS = {"Content-Type": "application/json"}

AWKWARD_KEYS = ["", "$where", "$", "a.b", ".", "constructor", "__proto__", "_id", "$ref", "$id", "$oid", "ä", "🎙", " "]
keys = st.sampled_from(AWKWARD_KEYS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-INT64 - 2, INT64 + 1)
    | st.sampled_from([0, -INT64, INT64 - 1, 2**31, 2**53 + 1, 1.0, -0.0, 0.1, 5e-324, 1.7976931348623157e308])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
    | st.sampled_from(["\0", "a\0b", "\ufeff", "\u2028", "\ud7ff\ue000", "$where", "2020-01-01T00:00:00Z"])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
objects = st.dictionaries(keys, values, max_size=5)


def storable(value: Any) -> bool:
    """The rules of the protocol, written independently: int64, no NUL in keys, no database reference."""
    if isinstance(value, dict):
        if any("\0" in key for key in value) or {"$ref", "$id"} <= set(value):
            return False
        return all(storable(item) for item in value.values())
    if isinstance(value, list):
        return all(storable(item) for item in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return -INT64 <= value < INT64
    return True


def exact(value: Any) -> Any:
    """Return the value with those made different that `==` considers equal: 1, 1.0 and true; 0.0 and -0.0."""
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [exact(item) for item in value]
    return (type(value).__name__, value, isinstance(value, float) and math.copysign(1, value) < 0)


class Roundtrip:
    """Sends objects through one gateway, from Hypothesis' own thread."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._loop = asyncio.get_running_loop()

    def __call__(self, value: Json) -> None:
        asyncio.run_coroutine_threadsafe(self._check(value), self._loop).result(30)

    async def _check(self, value: Json) -> None:
        session_id = new_id("s")
        create = json.dumps({"sessionId": session_id, "language": "en", "metadata": value})
        event = json.dumps(new_event("e", value))
        if not storable(value):
            envelope = await self._gateway.refused("POST", "/sessions", 400, data=create, headers=HEADERS)
            assert "metadata" in envelope["message"][0]
            await self._gateway.create(session_id)
            path = f"/sessions/{session_id}/events"
            envelope = await self._gateway.refused("POST", path, 400, data=event, headers=HEADERS)
            assert (envelope["code"], "payload" in envelope["message"][0]) == ("invalid_event", True)
            return
        session = await self._gateway.ask("POST", "/sessions", data=create, headers=HEADERS)
        path = f"/sessions/{session_id}"
        stored = await self._gateway.ask("POST", f"{path}/events", status=201, data=event, headers=HEADERS)
        again = await self._gateway.ask("POST", f"{path}/events", status=201, data=event, headers=HEADERS)
        read = await self._gateway.get(path)
        window = await self._gateway.get(f"{path}/events")
        for found in (session["metadata"], read["metadata"], stored["payload"], again["payload"]):
            assert exact(found) == exact(value)
        for found in (read["events"][0]["payload"], window["events"][0]["payload"]):
            assert exact(found) == exact(value)
            assert list(found) == list(value)  # the order of keys is kept too


@pytest.fixture
async def roundtrip(gateway: Gateway) -> Roundtrip:
    return Roundtrip(gateway)


@pytest.mark.property
async def test_any_json_object_comes_back_exactly_or_is_refused(roundtrip: Roundtrip) -> None:
    @settings(max_examples=120, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
    @given(objects)
    @example({key: {key: [key, None]} for key in AWKWARD_KEYS if key != "$id"})
    @example({"a": {}, "b": [], "c": [{}], "d": [[]], "e": {"": {"": {}}}})
    @example({"min": -INT64, "max": INT64 - 1, "one": 1, "float": 1.0, "zero": -0.0, "true": True, "nul": "\0"})
    @example({"a": {"b": INT64}})
    @example({"a": [{"b\0": 1}]})
    @example({"$ref": "x", "$id": 1})
    @example({"$ref": "x", "$db": "y"})
    def check(value: Json) -> None:
        roundtrip(value)

    await asyncio.to_thread(check)


def nested(depth: int, *, lists: bool) -> Json:
    """Return an object of this many levels, counting itself."""
    value: Json = [] if lists else {}
    for _ in range(depth - 2):
        value = [value] if lists else {"a": value}
    return {"a": value}


@pytest.mark.parametrize("lists", [False, True])
async def test_payloads_and_metadata_may_be_as_deep_as_the_limit(gateway: Gateway, lists: bool) -> None:
    limit = gateway.gateway.config.limits.depth
    session_id = await gateway.create(metadata=nested(limit, lists=lists))
    path = f"/sessions/{session_id}"
    await gateway.post(f"{path}/events", new_event("e", nested(limit, lists=lists)), status=201)
    read = await gateway.get(path)
    assert read["metadata"] == read["events"][0]["payload"] == nested(limit, lists=lists)


@pytest.mark.parametrize("depth", [65, 100, 990, 5000, 100_000])
@pytest.mark.parametrize("lists", [False, True])
async def test_payloads_and_metadata_over_the_depth_limit_are_refused(
    gateway: Gateway, depth: int, lists: bool
) -> None:
    session_id = await gateway.create()
    opening, closing = (b"[", b"]") if lists else (b'{"a":', b"}")
    inner = b"[]" if lists else b"{}"
    deep = b'{"a":' + opening * (depth - 2) + inner + closing * (depth - 2) + b"}"
    for path, body in (
        ("/sessions", b'{"language":"en","metadata":%s}' % deep),
        (f"/sessions/{session_id}/events", b'{"eventId":"e","type":"system","payload":%s}' % deep),
    ):
        large = len(deep) > gateway.gateway.config.limits.event_bytes and path != "/sessions"
        status = 413 if large and depth <= 20_000 else 400
        envelope = await gateway.refused("POST", path, status, data=body, headers=HEADERS)
        assert status == 413 or "64" in str(envelope["message"]) or "20000" in str(envelope["message"])


async def test_metadata_over_its_limit_is_refused(gateway: Gateway) -> None:
    limit = gateway.gateway.config.limits.metadata_bytes
    fits = {"a": "x" * (limit - 8)}
    session_id = await gateway.create(metadata=fits)
    assert (await gateway.get(f"/sessions/{session_id}"))["metadata"] == fits
    body = {"language": "en", "metadata": {"a": "x" * (limit - 7)}}
    envelope = await gateway.refused("POST", "/sessions", 413, json=body)
    assert envelope["code"] == "too_large"
    assert str(limit) in envelope["message"]


async def test_large_metadata_waits_for_its_turn_before_it_is_decoded(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = list[int]()

    async def decode(size: int, _client: object) -> None:
        waited.append(size)

    monkeypatch.setattr(gateway.gateway.parts.turns, "decode", decode)
    await gateway.create(metadata={"a": "x" * 50_000})
    assert len(waited) == 1
    assert waited[0] > 50_000

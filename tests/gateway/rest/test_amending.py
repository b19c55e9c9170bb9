"""Facts that become known later: PATCH of a session's metadata and language."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.gateways import Gateway, StartGateway
from turnwire.gateway.live.amending import merged

Json = Any


async def patch(gateway: Gateway, session_id: str, body: Json) -> Json:
    return await gateway.ask("PATCH", f"/sessions/{session_id}", json=body)


@pytest.mark.parametrize(
    ("target", "change", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": 1}, {"a": {"b": 1.0}}, {"a": {"b": 1.0}}),
    ],
)
def test_metadata_is_patched_as_in_rfc_7396(target: Json, change: Json, result: Json) -> None:
    before = repr(target)
    assert merged(target, change) == result
    assert repr(target) == before


async def test_patched_metadata_and_language_are_stored(gateway: Gateway, start_gateway: StartGateway) -> None:
    session_id = await gateway.create(metadata={"a": 1, "keep": True})
    for _ in range(2):
        session = await patch(gateway, session_id, {"metadata": {"a": None, "b": {"c": 1.0}}, "language": "de"})
        assert (session["metadata"], session["language"]) == ({"keep": True, "b": {"c": 1.0}}, "de")
    await gateway.stop()
    read = await (await start_gateway()).get(f"/sessions/{session_id}")
    assert (read["metadata"], read["language"]) == ({"keep": True, "b": {"c": 1.0}}, "de")


async def test_a_session_can_be_patched_after_its_end(gateway: Gateway) -> None:
    session_id = await gateway.create()
    ended = await gateway.post(f"/sessions/{session_id}/complete", {})
    session = await patch(gateway, session_id, {"metadata": {"outcome": "booked"}})
    assert session == {**ended, "metadata": {"outcome": "booked"}}


@pytest.mark.parametrize("publishing", [False, True])
async def test_every_gateway_shows_a_patch_made_at_another(start_gateway: StartGateway, publishing: bool) -> None:
    one, other = await start_gateway(), await start_gateway()
    session_id = await one.create()
    socket = await one.client.ws_connect(f"{one.ws_url}/sessions/{session_id}/publish")
    assert (await socket.receive_json())["type"] == "opened"
    if not publishing:
        await socket.close()
    await asyncio.gather(
        patch(other, session_id, {"metadata": {"a": 1}}),
        patch(one, session_id, {"metadata": {"b": 2}}),
        patch(other, session_id, {"metadata": {"c": 3}}),
    )
    for gateway in (one, other):
        assert (await gateway.get(f"/sessions/{session_id}"))["metadata"] == {"a": 1, "b": 2, "c": 3}
        (listed,) = (await gateway.get("/sessions"))["sessions"]
        assert listed["metadata"] == {"a": 1, "b": 2, "c": 3}
    await socket.close()


async def test_subscribers_and_feeds_are_told_of_a_patch(gateway: Gateway) -> None:
    session_id = await gateway.create()
    socket = await gateway.client.ws_connect(f"{gateway.ws_url}/subscribe")
    await socket.send_json({"type": "subscribe", "ref": "s", "sessionId": session_id})
    await socket.send_json({"type": "subscribe", "ref": "f", "feed": "sessions"})
    while (await socket.receive_json())["type"] != "sessions":
        pass
    await patch(gateway, session_id, {"metadata": {"a": 1}})
    told = [await socket.receive_json() for _ in range(2)]
    assert {message["ref"] for message in told} == {"s", "f"}
    assert all(message["session"]["metadata"] == {"a": 1} for message in told)
    await socket.close()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"language": ""}, 400),
        ({"metadata": [1]}, 400),
        ({"metadata": {"a": 2**64}}, 400),
        ({"metadata": {"a": "x" * 70_000}}, 413),
        ([], 400),
    ],
)
async def test_an_invalid_patch_is_refused_and_changes_nothing(gateway: Gateway, body: Json, status: int) -> None:
    session_id = await gateway.create(metadata={"a": 1})
    await gateway.refused("PATCH", f"/sessions/{session_id}", status, json=body)
    assert (await gateway.get(f"/sessions/{session_id}"))["metadata"] == {"a": 1}


async def test_patches_that_together_exceed_the_metadata_limit_are_refused(gateway: Gateway) -> None:
    session_id = await gateway.create(metadata={"a": "x" * 40_000})
    await gateway.refused("PATCH", f"/sessions/{session_id}", 413, json={"metadata": {"b": "x" * 40_000}})
    await patch(gateway, session_id, {"metadata": {"a": None, "b": "x" * 40_000}})


async def test_patching_an_unknown_session_gets_404(gateway: Gateway) -> None:
    await gateway.refused("PATCH", "/sessions/none", 404, json={})

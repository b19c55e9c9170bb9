"""`POST /import`: a stream of past calls, answered line by line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

from tests.gateway.access.wired import allowed, start_guarded
from tests.support.gateways import Gateway, Json, StartGateway
from turnwire.protocol.rights import Scope

NDJSON = {"Content-Type": "application/x-ndjson"}


def past_call(session_id: str, *texts: str, **fields: Json) -> Json:
    events = [
        {
            "eventId": f"e{n}",
            "type": "user_speech",
            "payload": {"text": text, "startMs": n * 1000, "endMs": n * 1000 + 500},
            "timestamp": f"2023-05-01T12:00:0{n}.250+02:00",
        }
        for n, text in enumerate(texts, 1)
    ]
    ended = {"status": "completed", "startedAt": "2023-05-01T10:00:00Z", "endedAt": "2023-05-01T10:01:00Z"}
    return {"sessionId": session_id, "language": "en", **ended, "events": events, **fields}


def ndjson(*calls: Json) -> bytes:
    return b"".join(json.dumps(call).encode() + b"\n" for call in calls)


async def bring(gateway: Gateway, body: bytes, query: str = "") -> list[Json]:
    async with gateway.request("POST", f"/import{query}", data=body, headers=NDJSON) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "application/x-ndjson"
        return [json.loads(line) for line in (await response.text()).splitlines()]


async def test_past_calls_are_read_back_as_they_were_on_every_gateway(start_gateway: StartGateway) -> None:
    here, there = await start_gateway(), await start_gateway()
    answers = await bring(here, ndjson(past_call("a", "Hello?", "Yes."), past_call("b"), past_call("a", "Hello?")))
    assert [(each["line"], each["sessionId"], each["result"]) for each in answers] == [
        (1, "a", "imported"),
        (2, "b", "imported"),
        (3, "a", "different"),
    ]
    session = await there.get("/sessions/a")
    assert (session["status"], session["endedAt"]) == ("completed", "2023-05-01T10:01:00.000Z")
    assert session["figures"]["turns"] == 1
    assert [(each["seq"], each["timestamp"]) for each in session["events"]] == [
        (1, "2023-05-01T10:00:01.250Z"),
        (2, "2023-05-01T10:00:02.250Z"),
    ]
    listed = await there.get("/sessions?startedBefore=2023-05-02T00:00:00Z&minDurationMs=60000")
    assert sorted(each["sessionId"] for each in listed["sessions"]) == ["a", "b"]
    sums = await there.get("/stats?startedAfter=2023-05-01T00:00:00Z&startedBefore=2023-05-02T00:00:00Z")
    assert sums["total"]["calls"] == 2
    assert [each["result"] for each in await bring(there, ndjson(past_call("c"), past_call("b")), "?verify=true")] == [
        "missing",
        "unchanged",
    ]


async def test_words_of_past_calls_are_found_at_every_gateway(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateways = [await start_gateway(search="on", data_dir=tmp_path / name) for name in ("here", "there")]
    async with asyncio.timeout(20):
        while not all(each.gateway.search is not None and each.gateway.search.ready for each in gateways):
            await asyncio.sleep(0.05)
        await bring(gateways[0], ndjson(past_call("a", "Two croissants, please.")))
        for gateway in gateways:
            while not (found := (await gateway.get("/sessions?q=croissants"))["sessions"]):
                await asyncio.sleep(0.05)
            assert (found[0]["sessionId"], found[0]["status"]) == ("a", "completed")


async def test_each_line_is_answered_before_the_next_one_is_sent(gateway: Gateway) -> None:
    answered = asyncio.Event()

    async def lines() -> AsyncIterator[bytes]:
        yield ndjson(past_call("a", "Hello?"))
        await answered.wait()
        yield b"no session\n"

    async with gateway.request("POST", "/import", data=lines(), headers=NDJSON) as response:
        first = json.loads(await response.content.readline())
        answered.set()
        second = json.loads(await response.content.readline())
    assert (first["line"], first["result"], first["events"]) == (1, "imported", 1)
    assert (second["line"], second["result"], second["code"]) == (2, "refused", "invalid_json")


async def test_a_call_longer_than_a_body_may_be_comes_in(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_frame_bytes=2048, max_event_bytes=1024)
    call = past_call("long")
    call["events"] = [
        {"eventId": f"e{n}", "type": "system", "payload": {}, "timestamp": "2023-05-01T10:00:00Z"} for n in range(300)
    ]
    (answer,) = await bring(gateway, ndjson(call))
    assert (answer["result"], answer["events"]) == ("imported", 300)
    assert (await gateway.get("/sessions/long"))["lastSeq"] == 300


async def test_an_import_must_be_ndjson_with_known_parameters(gateway: Gateway) -> None:
    await gateway.refused("POST", "/import", 415, data=b"x", headers={"Content-Type": "text/plain"})
    refused = await gateway.refused("POST", "/import?keepopen=true", 400, data=b"", headers=NDJSON)
    assert "keepOpen" in str(refused["message"])
    assert await bring(gateway, b"") == []


async def test_only_an_admin_may_import(start_gateway: StartGateway, tmp_path: Path) -> None:
    guarded = await start_guarded(start_gateway, tmp_path)
    every_other = " ".join(set(Scope) - {"admin"})
    headers = {**NDJSON, **allowed(every_other)}
    refused = await guarded.refused("POST", "/import", 403, headers=headers, data=ndjson(past_call("a")))
    assert "admin" in refused["message"]
    assert (await bring(guarded, ndjson(past_call("a"))))[0]["result"] == "imported"


async def test_an_imported_call_does_not_count_as_one_that_has_just_ended(gateway: Gateway) -> None:
    await bring(gateway, ndjson(past_call("a", "Hello?")))
    await gateway.create("b")
    await gateway.post("/sessions/b/complete", {"reason": "hangup"})
    async with gateway.request("GET", "/metrics") as response:
        counted = [line for line in (await response.text()).splitlines() if "sessions_ended_total{" in line]
    assert [line.rpartition(" ")[2] for line in counted if not line.endswith(" 0.0")] == ["1.0"]

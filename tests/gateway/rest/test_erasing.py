"""REST: a session is erased, and nobody is shown anything of it afterwards, whichever gateway is asked."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.access.wired import allowed, start_guarded
from tests.support.gateways import Gateway, StartGateway, new_event
from tests.support.sockets import publisher, subscriber, until
from turnwire.store.search.tables import FILE_NAME


async def erase(gateway: Gateway, session_id: str, query: str = "") -> None:
    async with gateway.request("DELETE", f"/sessions/{session_id}{query}") as response:
        assert (response.status, await response.read()) == (204, b"")


async def documents(gateway: Gateway, *collections: str) -> int:
    database = gateway.store._db
    return sum([await database[name].count_documents({}) for name in collections])


async def test_an_erased_session_leaves_nothing_and_its_id_is_free(gateway: Gateway) -> None:
    await gateway.create("a/b", metadata={"who": "Jane"})
    await gateway.fill("a%2Fb", 1300)
    await gateway.post("/sessions/a%2Fb/complete", {})
    await gateway.create("other")
    await gateway.fill("other", 3)
    await erase(gateway, "a%2Fb")
    assert await documents(gateway, "events", "digests") == 3
    for path in ("", "/events", "/stats", "/publish"):
        await gateway.refused("GET", f"/sessions/a%2Fb{path}", 400 if path == "/publish" else 404)
    assert [each["sessionId"] for each in (await gateway.get("/sessions?order=asc"))["sessions"]] == ["other"]
    await erase(gateway, "a%2Fb")
    session = await gateway.post("/sessions", {"sessionId": "a/b", "language": "de"})
    assert (session["lastSeq"], session["metadata"], session["endedAt"]) == (0, {}, None)
    assert (await gateway.post("/sessions/a%2Fb/events", new_event("e1"), status=201))["seq"] == 1


async def test_a_session_that_is_published_is_erased_by_force_alone_on_every_gateway(
    start_gateway: StartGateway,
) -> None:
    here, there = await start_gateway(), await start_gateway(poll_interval=0.1)
    bot = await publisher(there, "s")
    await bot.acked("e1")
    assert (await here.refused("DELETE", "/sessions/s", 409))["code"] == "publisher_connected"
    await here.refused("DELETE", "/sessions/s?force=yes", 400)
    await erase(here, "s", "?force=true")
    assert await bot.close_code() == 4404
    await there.refused("GET", "/sessions/s", 404)


async def test_watchers_are_told_that_the_session_is_erased(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(feed_interval=0.05)
    await gateway.create("s")
    await gateway.fill("s", 2)
    board = await subscriber(gateway)
    await board.ask({"type": "subscribe", "ref": "f", "feed": "sessions"}, "subscribed")
    assert [each["sessionId"] for each in (await board.next("sessions"))["sessions"]] == ["s"]
    await board.send({"type": "subscribe", "ref": "r", "sessionId": "s"})
    await board.next_of("caughtUp")  # the feed may tell of the two events meanwhile
    stream = await gateway.request("GET", "/sessions/s/events", headers={"Accept": "text/event-stream"})
    await erase(gateway, "s")
    told: dict[str, Any] = {}
    while told.keys() != {"f", "r"}:
        message = await board.receive()
        if message["type"] != "session":  # of the feed, which may still tell of the events
            told[message["ref"]] = message
    assert told["f"] == {"type": "erased", "ref": "f", "sessionId": "s"}
    assert (told["r"]["type"], told["r"]["code"]) == ("error", "not_found")
    assert b"event: erased" in await stream.content.read()
    await gateway.create("s")  # the ref is free, and the session a new one
    await board.send({"type": "subscribe", "ref": "r", "sessionId": "s"})
    assert (await board.next_of("subscribed"))["lastSeq"] == 0


async def test_the_search_forgets_an_erased_session_and_its_words(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = await start_gateway(search="on", data_dir=tmp_path)
    search = gateway.gateway.search
    assert search is not None
    await until(lambda: search.ready, "the search")
    await gateway.create("s", metadata={"who": "Jane"})
    await gateway.post("/sessions/s/events", new_event("e1", {"text": "porridge"}), status=201)
    await search.flush()
    assert len((await gateway.get("/sessions?q=porridge"))["sessions"]) == 1
    await erase(gateway, "s")
    for query in ("q=porridge", "metadata.who=Jane", "idPrefix=s"):
        assert (await gateway.get(f"/sessions?{query}&countUpTo=5"))["count"]["value"] == 0
    assert (await gateway.get("/stats"))["total"]["calls"] == 0
    with sqlite3.connect(tmp_path / FILE_NAME) as index:
        assert index.execute("SELECT count(*) FROM said WHERE said MATCH 'porridge OR jane'").fetchone() == (0,)
        assert index.execute("SELECT count(*) FROM texts").fetchone() == (0,)


async def test_erasing_needs_its_scope_and_is_audited(
    start_gateway: StartGateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = await start_guarded(start_gateway, tmp_path)
    await gateway.create("a1")
    for headers in (allowed("session:create session:publish session:read"), allowed("session:delete", "b*")):
        await gateway.refused("DELETE", "/sessions/a1", 403, headers=headers)
    with caplog.at_level("INFO", "turnwire.audit"):
        for _ in range(2):
            async with gateway.request("DELETE", "/sessions/a1", headers=allowed("session:delete", "a*")) as response:
                assert response.status == 204
    rows = [json.loads(each.getMessage()) for each in caplog.records if each.name == "turnwire.audit"]
    told = [(row["sessionId"], row["who"], row["forced"]) for row in rows if row["audit"] == "session_erased"]
    assert told == [("a1", "sub:alice", False)]


async def test_a_takeover_by_another_subject_is_refused_by_every_gateway(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    scope = "session:create session:publish"
    here = await start_guarded(start_gateway, tmp_path)
    there = await start_guarded(start_gateway, tmp_path)
    first = await publisher(here, "a", headers=allowed(scope, sub="alice"))
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await publisher(there, "a", headers=allowed(scope, sub="bob"))
    assert refused.value.status == 409
    assert await first.acked("e1") == [1]
    again = await publisher(there, "a", headers=allowed(scope, sub="alice"))
    await again.close()
    async with asyncio.timeout(10):
        while (await here.store._db["sessions"].find_one({"_id": "a"}))["holder"] is not None:
            await asyncio.sleep(0.02)
    second = await publisher(here, "a", headers=allowed(scope, sub="bob"))
    assert await second.acked("e2") == [2]

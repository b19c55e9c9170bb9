"""REST: finding sessions by filters and words, counting them, and what is refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.gateways import Gateway, StartGateway, new_event
from turnwire.gateway.finding.listing import count_of
from turnwire.gateway.sessions import pages
from turnwire.protocol.bodies import SessionCount
from turnwire.store.search.catalog import Catalog
from turnwire.store.search.finder import Count
from turnwire.store.search.tables import FILE_NAME, request_rebuild
from turnwire.store.sessions import SessionRecord

Json = Any


async def call(gateway: Gateway, session_id: str, *texts: str, end: Json = None, **fields: Json) -> None:
    """Create a session in which this was said, ended unless `end` is False."""
    await gateway.create(session_id, **fields)
    events = [new_event(f"e{n}", {"text": text}) for n, text in enumerate(texts)]
    if events:
        await gateway.post(f"/sessions/{session_id}/events", {"events": events}, status=201)
    if end is not False:
        await gateway.post(f"/sessions/{session_id}/complete", end or {})


async def found(gateway: Gateway, query: str) -> list[str]:
    return [session["sessionId"] for session in (await gateway.get(f"/sessions?{query}"))["sessions"]]


async def when_found(gateway: Gateway, query: str, expected: list[str]) -> None:
    async with asyncio.timeout(10):
        while await found(gateway, query) != expected:
            await asyncio.sleep(0.05)


async def searching(start_gateway: StartGateway, folder: Path, **settings: Any) -> Gateway:
    """A gateway whose search index is up to date."""
    gateway = await start_gateway(search="on", data_dir=folder, **settings)
    async with asyncio.timeout(10):
        while gateway.gateway.search is None or not gateway.gateway.search.ready:
            await asyncio.sleep(0.02)
    return gateway


FAILED = new_event("t", {"event": "tool.failed", "name": "x"}, type="system")


@pytest.mark.parametrize("search", ["on", "off"])
async def test_filters_find_the_same_sessions_with_and_without_the_search_index(
    start_gateway: StartGateway, tmp_path: Path, search: str
) -> None:
    gateway = await searching(start_gateway, tmp_path) if search == "on" else await start_gateway()
    await call(gateway, "call-1", metadata={"customerId": "c1", "n": 7, "a.b": "x"})
    await call(gateway, "call-2", end={"status": "failed", "reason": "hangup"}, metadata={"customerId": "c1"})
    await call(gateway, "x-3", end=False)
    await gateway.post("/sessions/x-3/events", FAILED, status=201)
    await gateway.post("/sessions/x-3/complete", {})
    await call(gateway, "x-4", end=False)
    for query, expected in (
        ("order=asc", ["call-1", "call-2", "x-3", "x-4"]),
        ("idPrefix=call-", ["call-2", "call-1"]),
        ("idPrefix=call-&order=asc&limit=1", ["call-1"]),
        ("endReason=hangup", ["call-2"]),
        ("metadata.customerId=c1", ["call-2", "call-1"]),
        ("metadata.customerId=c1&metadata.n=7", ["call-1"]),
        ("metadata.a.b=x", ["call-1"]),
        ("metadata.customerId=c2", []),
        ("metadata.customerId=", ["x-4", "x-3"]),
        ("metadata.n=&metadata.a.b=&idPrefix=call", ["call-2"]),
        ("endReason=", ["x-4", "x-3", "call-1"]),
        ("toolsFailed=1", ["x-3"]),
        ("hasErrors=false", ["x-3", "call-2", "call-1"]),
        ("hasErrors=true", []),
        ("minDurationMs=0", ["x-3", "call-2", "call-1"]),
        ("maxDurationMs=3600000&status=failed", ["call-2"]),
        ("minDurationMs=3600000", []),
        ("minResponseP95Ms=1", []),
        ("minInterruptions=1", []),
        ("q=call", ["call-2", "call-1"]),
        ("q=C1+2", ["call-2"]),
    ):
        await when_found(gateway, query, expected)


async def test_pages_of_found_sessions_join_in_either_order(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = await searching(start_gateway, tmp_path)
    ids = [f"call-{n}" for n in range(7)]
    for session_id in ids:
        await call(gateway, session_id, end=False)
        await asyncio.sleep(0.002)  # started in different milliseconds
    await when_found(gateway, "idPrefix=call", ids[::-1])
    for order, expected in (("asc", ids), ("desc", ids[::-1])):
        pages: list[str] = []
        cursor = ""
        while cursor is not None:
            page = await gateway.get(f"/sessions?idPrefix=call&limit=3&order={order}{cursor and '&cursor=' + cursor}")
            pages += [session["sessionId"] for session in page["sessions"]]
            cursor = page["nextCursor"]
        assert pages == expected


async def test_a_list_in_either_order_has_a_session_from_its_creation_on(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    """An export takes the oldest first, and would leave out what the index has not heard of yet."""
    gateway = await searching(start_gateway, tmp_path)
    for number in range(3):
        await call(gateway, f"call-{number}")
        for query in ("order=asc", "order=desc", "order=asc&startedAfter=2020-01-01T00:00:00Z"):
            assert len(await found(gateway, query)) == number + 1


async def test_spoken_words_are_found_during_a_live_call(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = await searching(start_gateway, tmp_path)
    await call(gateway, "s", "I would like BREAKFAST.", end=False)
    await call(gateway, "t", "Lunch, please.")
    await when_found(gateway, "q=breakfast", ["s"])
    await gateway.post("/sessions/s/events", new_event("later", {"text": "Tomorrow at eight"}), status=201)
    await when_found(gateway, "q=eight+breakfast", ["s"])
    answer = await gateway.get("/sessions?q=breakfast&countUpTo=10")
    assert answer["searched"] == ["id", "metadata", "speech"]
    assert answer["count"] == {"value": 1, "exact": True}


async def test_without_the_search_index_words_are_found_in_ids_and_metadata(gateway: Gateway) -> None:
    await call(gateway, "s", "breakfast", metadata={"who": "Zoë"})
    answer = await gateway.get(f"/sessions?q={quote('zoe')}")
    assert [session["sessionId"] for session in answer["sessions"]] == ["s"]
    assert answer["searched"] == ["id", "metadata"]
    assert await found(gateway, "q=breakfast") == []


async def test_the_search_index_continues_after_a_restart_and_can_be_rebuilt(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    gateway = await searching(start_gateway, tmp_path)
    await call(gateway, "s", "breakfast", end=False)
    await when_found(gateway, "q=breakfast", ["s"])
    await gateway.stop()
    without = await start_gateway()
    await without.post("/sessions/s/events", new_event("later", {"text": "lunch"}), status=201)
    await call(without, "t", "lunch")
    await without.stop()
    again = await searching(start_gateway, tmp_path)
    await when_found(again, "q=lunch", ["t", "s"])
    await when_found(again, "q=breakfast+lunch", ["s"])
    await again.stop()
    request_rebuild(tmp_path / FILE_NAME)  # the index is discarded and rebuilt from the database
    rebuilt = await searching(start_gateway, tmp_path)
    await when_found(rebuilt, "q=breakfast+lunch", ["s"])
    await when_found(rebuilt, "q=lunch", ["t", "s"])


async def test_sessions_that_ended_at_another_gateway_are_found(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway, other = await searching(start_gateway, tmp_path), await start_gateway()
    await call(other, "s", "breakfast")
    await when_found(gateway, "q=breakfast", ["s"])


async def test_a_session_that_only_the_search_index_still_has_leaves_no_gap_in_a_page(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    gateway = await searching(start_gateway, tmp_path)
    for n in range(3):
        await call(gateway, f"call-{n}")
        await asyncio.sleep(0.002)
    await when_found(gateway, "idPrefix=call", ["call-2", "call-1", "call-0"])
    catalog = Catalog(tmp_path / FILE_NAME)
    catalog.take([SessionRecord("call-gone", "en", datetime.now(UTC))], [])
    catalog.close()
    page = await gateway.get("/sessions?idPrefix=call&limit=2")
    assert [session["sessionId"] for session in page["sessions"]] == ["call-2", "call-1"]
    assert await found(gateway, f"idPrefix=call&limit=2&cursor={page['nextCursor']}") == ["call-0"]


async def test_a_patched_session_is_found_by_its_new_values(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = await searching(start_gateway, tmp_path)
    await call(gateway, "s", metadata={"outcome": "open"})
    await when_found(gateway, "metadata.outcome=open", ["s"])
    await gateway.ask("PATCH", "/sessions/s", json={"metadata": {"outcome": "booked"}})
    await when_found(gateway, "metadata.outcome=booked", ["s"])
    assert await found(gateway, "metadata.outcome=open") == []


async def test_a_gateway_whose_search_index_cannot_be_written_serves_without_it(
    start_gateway: StartGateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE_NAME).mkdir()
    gateway = await start_gateway(search="on", data_dir=tmp_path)
    await call(gateway, "s", metadata={"a": "b"})
    assert await found(gateway, "metadata.a=b") == ["s"]
    assert [record.name for record in caplog.records].count("turnwire.search") == 1


async def test_a_search_that_runs_out_of_time_says_how_far_it_looked(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "SCAN_SECONDS", 0)
    monkeypatch.setattr(pages, "_SCAN_PAGE", 2)
    for n in range(5):
        await call(gateway, f"call-{n}", metadata={"odd": "yes" if n % 2 else "no"})
        await asyncio.sleep(0.002)
    first = await gateway.get("/sessions?q=call+0")
    assert (first["sessions"], "searchedBackTo" in first) == ([], True)
    answer, steps = first, 1
    while answer["nextCursor"] is not None:
        answer = await gateway.get(f"/sessions?q=call+0&cursor={answer['nextCursor']}")
        steps += 1
    assert ([session["sessionId"] for session in answer["sessions"]], steps) == (["call-0"], 3)


async def test_counts_of_sessions_say_whether_they_are_exact(gateway: Gateway) -> None:
    for n in range(4):
        await call(gateway, f"s{n}")
    assert (await gateway.get("/sessions?countUpTo=4&limit=1"))["count"] == {"value": 4, "exact": True}
    assert (await gateway.get("/sessions?countUpTo=3&limit=1"))["count"] == {"value": 3, "exact": False}


def test_a_count_that_stopped_early_is_never_less_than_what_its_page_shows() -> None:
    assert count_of(Count(3, exact=False), 50) == SessionCount(50, exact=False)
    assert count_of(Count(60, exact=False), 50) == SessionCount(60, exact=False)
    assert count_of(Count(49, exact=True), 50) == SessionCount(49, exact=True), "one has been erased in between"


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/sessions?statuss=active", "did you mean 'status'?"),
        ("/sessions?startedafter=x", "did you mean 'startedAfter'?"),
        ("/sessions?metadata=x", "did you mean 'metadata.<key>'?"),
        ("/sessions/s?ordr=asc", "did you mean 'order'?"),
        ("/sessions/s/events?after=1", "did you mean 'afterSeq'?"),
        ("/sessions/s/stats?zzz=1", "known here: sessionId"),
        ("/stats?group=day", "did you mean 'groupBy'?"),
        ("/openapi.json?format=yaml", "unknown parameter 'format'; none is known here"),
        ("/asyncapi.json?format=yaml", "unknown parameter 'format'; none is known here"),
        ("/health?x=1", "none is known here"),
        ("/sessions?zzz=1&yyy=2", "known here: "),
    ],
)
async def test_an_unknown_parameter_is_refused_with_the_nearest_known_one(
    gateway: Gateway, path: str, fault: str
) -> None:
    envelope = await gateway.refused("GET", path, 400)
    texts = envelope["message"] if isinstance(envelope["message"], list) else [envelope["message"]]
    assert all(fault in text for text in texts)
    assert len(texts) == path.count("=")


async def test_a_write_with_an_unknown_parameter_is_refused_before_anything_is_done(gateway: Gateway) -> None:
    await gateway.refused("POST", "/sessions?langage=en", 400, json={"sessionId": "s", "language": "en"})
    await gateway.refused("GET", "/sessions/s", 404)


@pytest.mark.parametrize(
    "query",
    [
        "q=",
        "q=%2C",
        "q=" + "+".join("abcdefghi"),
        "hasErrors=yes",
        "minDurationMs=-1",
        "countUpTo=0",
        "countUpTo=100001",
        "order=up",
        "idPrefix=",
        "&".join(f"metadata.k{n}=v" for n in range(5)),
        "toolsFailed=x",
    ],
)
async def test_invalid_filters_are_refused(gateway: Gateway, query: str) -> None:
    await gateway.refused("GET", f"/sessions?{query}", 400)


# --- sums ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", ["on", "off"])
async def test_sessions_are_summed_up_by_group(start_gateway: StartGateway, tmp_path: Path, search: str) -> None:
    gateway = await searching(start_gateway, tmp_path) if search == "on" else await start_gateway()
    measured = [
        new_event("u", {"text": "Hi", "startedMs": 0, "endedMs": 1000}),
        new_event("b", {"text": "Yes", "startedMs": 1600, "endedMs": 2600, "interrupted": True}, type="bot_speech"),
    ]
    for session_id, language in (("a", "en"), ("b", "en"), ("c", "de")):
        await gateway.create(session_id, language=language, metadata={"bot": session_id})
        await gateway.post(f"/sessions/{session_id}/events", {"events": measured}, status=201)
    await gateway.post("/sessions/a/complete", {"status": "failed", "reason": "hangup"})
    await gateway.post("/sessions/b/complete", {})
    await when_found(gateway, "minInterruptions=1", ["b", "a"])
    sums = await gateway.get("/stats?groupBy=language")
    assert [group["key"] for group in sums["groups"]] == ["en", "de"]
    assert sums["groups"][0] == {
        "key": "en",
        "calls": 2,
        "failed": 1,
        "talkMs": 4000,
        "responseP50Ms": 600,
        "responseP95Ms": 600,
        "missed": 0,
        "interruptions": 2,
        "toolsFailed": 0,
        "errors": 0,
    }
    assert (sums["total"]["calls"], sums["total"]["talkMs"], sums["total"]["key"]) == (3, 4000, None)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert [group["key"] for group in (await gateway.get("/stats"))["groups"]] == [today]
    (hour,) = (await gateway.get(f"/stats?groupBy=hour&startedAfter={today}T00:00:00Z"))["groups"]
    assert hour["key"].startswith(f"{today}T")
    keys = {group["key"] for group in (await gateway.get("/stats?groupBy=metadata.bot"))["groups"]}
    assert keys == {"a", "b", "c"}
    reasons = {group["key"]: group["calls"] for group in (await gateway.get("/stats?groupBy=endReason"))["groups"]}
    assert reasons == {"hangup": 1, None: 2}
    assert (await gateway.get("/stats?startedBefore=2020-01-01T00:00:00Z"))["total"]["calls"] == 0


async def test_sums_over_too_long_a_range_are_refused(gateway: Gateway) -> None:
    before = datetime(2026, 1, 1, tzinfo=UTC)
    for days, group_by in ((401, "day"), (9, "hour")):
        after = quote((before - timedelta(days=days)).isoformat())
        path = f"/stats?startedAfter={after}&startedBefore={quote(before.isoformat())}&groupBy={group_by}"
        await gateway.refused("GET", path, 400)
    await gateway.refused("GET", "/stats?groupBy=bot", 400)

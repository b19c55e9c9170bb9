"""REST: a session with one page of its events, in both styles of paging."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.gateways import Gateway, Json, StartGateway, new_event
from turnwire.protocol.times import format_time

NOON = datetime(2025, 12, 21, 12, tzinfo=UTC)
PAGES = ("limit=3", "limit=7", "limit=100", "")


async def read_pages(gateway: Gateway, session_id: str, query: str, order: str) -> list[int]:
    """Return the seqs of all pages by number, checking each page."""
    seqs: list[int] = []
    page = 1
    while True:
        answer = await gateway.get(f"/sessions/{session_id}?page={page}&order={order}&{query}")
        pagination = answer["pagination"]
        assert pagination["page"] == page
        assert pagination["totalPages"] == math.ceil(pagination["total"] / pagination["limit"])
        found = [event["seq"] for event in answer["events"]]
        assert len(found) == max(0, min(pagination["limit"], pagination["total"] - len(seqs)))
        seqs += found
        if page > pagination["totalPages"]:
            assert not found
            return seqs
        page += 1


async def read_offsets(gateway: Gateway, session_id: str, query: str, order: str) -> list[int]:
    """Return the seqs of all pages by offset."""
    seqs: list[int] = []
    while True:
        answer = await gateway.get(f"/sessions/{session_id}?offset={len(seqs)}&order={order}&{query}")
        pagination = answer["pagination"]
        assert pagination["offset"] == len(seqs)
        seqs += [event["seq"] for event in answer["events"]]
        assert pagination["hasMore"] == (len(seqs) < pagination["total"])
        if not pagination["hasMore"]:
            return seqs


async def append_at(gateway: Gateway, session_id: str, seconds: list[int], batch: int) -> None:
    """Events with timestamps this many seconds from noon, in this order, in batches."""
    events = [
        new_event(f"e{n}", {"n": n}, timestamp=format_time(NOON + timedelta(seconds=second)))
        for n, second in enumerate(seconds, start=1)
    ]
    for start in range(0, len(events), batch):
        await gateway.post(f"/sessions/{session_id}/events", {"events": events[start : start + batch]}, status=201)


async def check_order(gateway: Gateway, session_id: str, seconds: list[int]) -> None:
    wanted = sorted(range(1, len(seconds) + 1), key=lambda seq: (seconds[seq - 1], seq))
    for query in PAGES:
        assert await read_pages(gateway, session_id, query, "asc") == wanted
        assert await read_pages(gateway, session_id, query, "desc") == wanted[::-1]
        assert await read_offsets(gateway, session_id, query, "asc") == wanted
        assert await read_offsets(gateway, session_id, query, "desc") == wanted[::-1]


async def test_a_session_is_read_with_its_first_events(gateway: Gateway) -> None:
    session_id = await gateway.create()
    stored = await gateway.fill(session_id, 25)
    answer = await gateway.get(f"/sessions/{session_id}")
    without_session = [{key: value for key, value in event.items() if key != "sessionId"} for event in stored]
    assert answer["events"] == without_session[:20]
    assert answer["pagination"] == {"total": 25, "page": 1, "limit": 20, "totalPages": 2}
    assert (answer["status"], answer["lastSeq"]) == ("active", 25)
    assert answer["lastEventAt"] == stored[-1]["timestamp"]


async def test_each_style_of_paging_has_its_own_default_limit(gateway: Gateway) -> None:
    session_id = await gateway.create()
    await gateway.fill(session_id, 60)
    by_offset = await gateway.get(f"/sessions/{session_id}?offset=0")
    assert by_offset["pagination"] == {"total": 60, "limit": 50, "offset": 0, "hasMore": True}
    assert len(by_offset["events"]) == 50
    by_page = await gateway.get(f"/sessions/{session_id}?page=2")
    assert [event["seq"] for event in by_page["events"]] == list(range(21, 41))


async def test_a_session_without_events_has_an_empty_page(gateway: Gateway) -> None:
    session_id = await gateway.create()
    for order in ("asc", "desc"):
        answer = await gateway.get(f"/sessions/{session_id}?order={order}")
        assert answer["events"] == []
        assert answer["pagination"] == {"total": 0, "page": 1, "limit": 20, "totalPages": 0}
        answer = await gateway.get(f"/sessions/{session_id}?offset=5&order={order}")
        assert answer["pagination"] == {"total": 0, "limit": 50, "offset": 5, "hasMore": False}


@pytest.mark.parametrize("query", [f"page={2**53}", f"offset={2**53}", "page=7", "offset=100"])
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_beyond_the_end_are_empty(gateway: Gateway, query: str, order: str) -> None:
    session_id = await gateway.create()
    await gateway.fill(session_id, 5)
    answer = await gateway.get(f"/sessions/{session_id}?{query}&order={order}")
    assert answer["events"] == []
    assert answer["pagination"]["total"] == 5


async def test_pages_of_events_in_the_order_of_their_times_are_in_seq_order(gateway: Gateway) -> None:
    session_id = await gateway.create()
    seconds = [0, 0, 1, 1, 1, 2, 5, 8, 8, 13, 21, 34]
    await append_at(gateway, session_id, seconds, batch=5)
    await check_order(gateway, session_id, seconds)


@pytest.mark.parametrize("batch", [1, 4, 500])
async def test_pages_of_events_whose_times_go_back_are_ordered_by_time(gateway: Gateway, batch: int) -> None:
    session_id = await gateway.create()
    seconds = [5, 4, 4, 9, 1, 0, 9, 3, 3, 3, -7, 20, 2]
    await append_at(gateway, session_id, seconds, batch)
    await check_order(gateway, session_id, seconds)


async def test_a_gateway_without_the_session_in_memory_orders_its_pages_by_time(start_gateway: StartGateway) -> None:
    first = await start_gateway()
    session_id = await first.create()
    seconds = [random.Random(7).randrange(50) for _ in range(130)]
    await append_at(first, session_id, seconds, batch=50)
    await first.stop()
    await check_order(await start_gateway(), session_id, seconds)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=1&offset=0", "page and offset"),
        ("offset=0&page=", "page and offset"),
        ("page=0", "page"),
        ("page=-1", "page"),
        ("offset=-1", "offset"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("limit=1e1", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit= 5", "limit"),
        ("limit=5&limit=6", "limit"),
        (f"page={2**53 + 1}", "page"),
        ("offset=" + "9" * 5000, "offset"),
        ("order=up", "order"),
        ("order=", "order"),
    ],
)
async def test_invalid_paging_parameters_are_refused(gateway: Gateway, query: str, field: str) -> None:
    session_id = await gateway.create()
    envelope = await gateway.refused("GET", f"/sessions/{session_id}?{query.replace(' ', '%20')}", 400)
    assert envelope["code"] == "invalid_message"
    assert field in envelope["message"][0]


async def test_every_fault_in_a_query_is_named(gateway: Gateway) -> None:
    session_id = await gateway.create()
    envelope = await gateway.refused("GET", f"/sessions/{session_id}?limit=x&order=x&page=x", 400)
    faults: Json = envelope["message"]
    assert [fault.split()[0] for fault in faults] == ["limit", "page", "order"]

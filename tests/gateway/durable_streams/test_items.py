"""Items of a stream: what becomes of JSON values, and the ids that producers' items get."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from turnwire.gateway.durable_streams.item_ids import ItemId, ProducerRequest
from turnwire.gateway.durable_streams.items import ItemReader, items_of, read_items
from turnwire.gateway.durable_streams.offsets import next_cursor, offset_of, seq_of
from turnwire.protocol.errors import TooLarge, TurnwireError
from turnwire.protocol.messages import Event, Limits

EVENT = {"type": "user_speech", "payload": {"text": "Hello!"}}
SHOWN = {"eventId": "e0", **EVENT, "timestamp": "2025-12-21T10:30:00.000Z", "seq": 1}


def named(index: int, _count: int) -> str:
    return f"e{index}"


def stored(body: Any, *, may_name: bool = True) -> list[Event]:
    """Return the items of a body as the events that the store would hold."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    events = read_items(text, named, Limits(), may_name=may_name)
    time = "2025-12-21T10:30:00.000Z"
    return [Event(e.event_id, "call", e.type, e.payload, time, seq) for seq, e in enumerate(events, 1)]


def read_back(body: Any) -> Any:
    return json.loads(items_of(stored(body)))


@pytest.mark.parametrize(
    "value",
    [1, 1.5, "text", None, True, {}, {"k": "v"}, {"type": "added", "key": 1}, [[1, 2], [3]], {"payload": {}}],
)
def test_a_value_that_is_not_an_event_comes_back_as_it_is(value: Any) -> None:
    assert read_back([value, value]) == [value, value]


def test_a_value_is_an_item_and_an_array_several() -> None:
    assert read_back("one") == ["one"]
    assert read_back([[1, 2], [3]]) == [[1, 2], [3]]
    assert read_back(b" [ ] ") == []


def test_an_event_comes_back_as_a_history_page_shows_it() -> None:
    assert read_back(EVENT) == [SHOWN]
    assert read_back({**EVENT, "eventId": "mine"})[0]["eventId"] == "mine"


def test_the_system_event_of_a_value_is_read_as_that_value() -> None:
    assert read_back({"type": "system", "payload": {"streamItem": [1]}}) == [[1]]
    both = {"type": "system", "payload": {"streamItem": 1, "more": 2}}
    assert read_back(both)[0]["payload"] == both["payload"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"type": "user_speech"}, "payload"),
        ({"type": "shouting", "payload": {}}, "type"),
        ({"type": "system", "payload": 1}, "payload"),
        ([EVENT, {"type": "system", "payload": {"$ref": 1, "$id": 2}}], "item 1"),
        ({"big": 2**70}, "64 bits"),
        (b'{"a": ', "decoded"),
        (b"[1, 2", "decoded"),
        (b"NaN", "decoded"),
        (b'"\xff"', "Unicode"),
        ("x" * 200_000, "over the limit"),
    ],
)
def test_a_malformed_event_and_an_unstorable_value_are_refused(body: Any, told: str) -> None:
    with pytest.raises(TurnwireError, match=told) as refused:
        stored(body)
    assert refused.value.status in (400, 413)


def test_with_a_producer_events_have_no_ids_of_their_own() -> None:
    with pytest.raises(TurnwireError, match="eventId"):
        stored({**EVENT, "eventId": "mine"}, may_name=False)


@pytest.mark.parametrize(
    "item",
    [
        ItemId(index=0, count=1, batch=ProducerRequest("bot", 0, 0)),
        ItemId(index=4, count=9, batch=ProducerRequest("a/b:c %é", 3, 2**53 - 1), stream_seq="0:9"),
        ItemId(index=0, count=2, stream_seq="a b"),
        ItemId(index=0, count=2),
    ],
)
def test_the_id_of_an_item_says_who_sent_it(item: ItemId) -> None:
    assert ItemId.read(item.text) == item


@pytest.mark.parametrize("event_id", ["e1", "ds:", "ds:0/1:bot:x:0:", "ds:::::", "ds:0/1:bot:0:0::", "019ab-7"])
def test_an_event_id_of_another_form_names_no_producer(event_id: str) -> None:
    assert ItemId.read(event_id) is None


def test_offsets_of_a_stream_sort_as_text() -> None:
    seqs = [0, 1, 9, 10, 99, 1_000_000]
    assert [seq_of(offset_of(seq)) for seq in seqs] == seqs
    assert sorted(map(offset_of, seqs)) == [offset_of(seq) for seq in seqs]
    assert seq_of("-1") == 0
    assert [seq_of(text) for text in ("", "now", "1", "0,1", "-2", "00000000001", "\u0660" * 10)] == [None] * 7


def test_the_cursor_of_a_stream_always_rises() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    current = next_cursor(None, now)
    assert next_cursor("0", now) == next_cursor("nonsense", now) == current
    assert int(next_cursor(current, now)) > int(current)
    assert int(next_cursor(str(int(current) + 5), now)) > int(current) + 5
    assert int(next_cursor(None, now + timedelta(seconds=20))) == int(current) + 1


def test_more_items_than_allowed_are_refused_before_any_is_read() -> None:
    asked: list[int] = []

    def new_id(index: int, _count: int) -> str:
        asked.append(index)
        return f"e{index}"

    with pytest.raises(TooLarge, match=r"the body has 4 items, over the limit of 3"):
        read_items(b"[1,2,3,4]", new_id, Limits(), 3, may_name=True)
    assert asked == []
    assert len(read_items(b"[1,2,3]", new_id, Limits(), 3, may_name=True)) == 3


def test_an_answer_names_the_first_hundred_refused_items() -> None:
    """Twenty thousand would be an answer of megabytes."""
    with pytest.raises(TurnwireError) as refused:
        stored([EVENT, *[{"type": "user_speech"}] * 500])
    texts = refused.value.details or []
    assert (len(texts), texts[0][:8], texts[-1][:9]) == (100, "item 1: ", "item 100:")


async def test_a_few_large_bodies_are_read_and_held_at_a_time() -> None:
    reader, held, most = ItemReader(Limits(), 0, lambda request: request.path), 0, 0
    leave = asyncio.Event()

    async def write(client: str) -> None:
        nonlocal held, most
        request = make_mocked_request("POST", f"/streams/{client}")
        async with reader.events(request, b"[" + b"1," * 600 + b"1]", named, may_name=True):
            held += 1
            most = max(most, held)
            await leave.wait()
            held -= 1

    writing = [asyncio.create_task(write(f"c{number}")) for number in range(12)]
    async with asyncio.timeout(5):
        while held < 8:
            await asyncio.sleep(0.001)
    async with reader.events(make_mocked_request("POST", "/streams/c0"), b"[1]", named, may_name=True) as few:
        assert len(few) == 1  # a small body waits for nobody
    leave.set()
    await asyncio.gather(*writing)
    assert (held, most) == (0, 8)

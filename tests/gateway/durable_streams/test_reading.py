"""Durable streams: catching up, waiting and following over HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.gateway.durable_streams.calls import CLOSE, Stream
from tests.gateway.rest.test_sse import Stream as Sse
from tests.support.gateways import Gateway, StartGateway

Message = dict[str, Any]


async def test_a_long_stream_is_read_in_parts(gateway: Gateway) -> None:
    await gateway.create("a")
    stored = await gateway.fill("a", 250)
    stream = Stream(gateway, "/streams/a")
    items: list[Message] = []
    offset, parts = "-1", 0
    while True:
        part = await stream.get(f"?offset={offset}")
        assert part.headers["Content-Type"] == "application/json"
        assert part.headers["Cache-Control"] == "no-store"
        items, offset, parts = items + part.items, part.offset, parts + 1
        if part.headers.get("Stream-Up-To-Date") == "true":
            break
    assert parts == 3
    assert items == [{name: value for name, value in event.items() if name != "sessionId"} for event in stored]
    assert (await stream.get(f"?offset={offset}")).items == []


async def test_now_is_the_end_of_the_stream(gateway: Gateway) -> None:
    stream = Stream(gateway, "/streams/a")
    await stream.put([1, 2, 3])
    now = await stream.get("?offset=now")
    assert (now.items, now.offset) == ([], (await stream.head()).offset)
    await stream.post([4])
    assert (await stream.get(f"?offset={now.offset}&unknown=1")).items == [4]


async def test_an_answer_that_has_not_changed_is_not_sent_again(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(end_grace=0)
    stream = Stream(gateway, "/streams/a")
    await stream.put([1])
    known = {"If-None-Match": (await stream.get()).headers["ETag"]}
    same = await stream.get("", known)
    assert (same.status, same.items) == (304, None)
    await stream.post(None, CLOSE)
    closed = await stream.get("", known)
    assert (closed.status, closed.items, closed.closed) == (200, [1], True)


async def test_an_offset_or_a_way_to_read_that_does_not_exist_is_refused(gateway: Gateway) -> None:
    stream = Stream(gateway, "/streams/a")
    await stream.put([1])
    beyond = "offset=0000000009"
    for query in (
        "offset=",
        "offset=1&offset=2",
        "offset=0,1",
        beyond,
        f"{beyond}&live=sse",
        f"{beyond}&live=long-poll",
    ):
        assert (await stream.get(f"?{query}")).status == 400, query
    for query in ("live=sse", "live=long-poll", "offset=-1&live=now"):
        assert (await stream.get(f"?{query}")).status == 400, query


async def test_every_way_to_read_says_that_there_is_no_such_stream(gateway: Gateway) -> None:
    for query in ("", "?offset=now", "?offset=-1&live=long-poll", "?offset=-1&live=sse"):
        assert (await Stream(gateway, "/streams/a").get(query)).items["code"] == "not_found"


async def test_a_long_poll_waits_for_the_next_items(gateway: Gateway) -> None:
    stream = Stream(gateway, "/streams/a")
    await stream.put([1])
    there = await stream.get("?offset=-1&live=long-poll")
    assert (there.items, there.headers["Stream-Up-To-Date"]) == ([1], "true")
    waiting = asyncio.create_task(stream.get(f"?offset=now&live=long-poll&cursor={there.headers['Stream-Cursor']}"))
    await until_followed(gateway)
    await stream.post([2])
    answer = await waiting
    assert (answer.status, answer.items) == (200, [2])
    assert int(answer.headers["Stream-Cursor"]) > int(there.headers["Stream-Cursor"])
    assert not gateway.followers


async def test_a_long_poll_ends_after_its_time(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(long_poll_timeout=0.01)
    stream = Stream(gateway, "/streams/a")
    created = await stream.put([1])
    answer = await stream.get("?offset=now&live=long-poll")
    assert (answer.status, answer.offset, answer.closed) == (204, created.offset, False)
    assert answer.headers["Stream-Up-To-Date"] == "true"
    assert "Stream-Cursor" in answer.headers


async def test_a_long_poll_ends_with_the_stream_or_when_it_is_erased(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(end_grace=0.05)
    closing, erased = (Stream(gateway, f"/streams/{name}") for name in ("closing", "erased"))
    answers = []
    for stream in (closing, erased):
        await stream.put([1])
        answers.append(asyncio.create_task(stream.get("?offset=now&live=long-poll")))
    await until_followed(gateway, 2)
    await closing.post(None, CLOSE)
    await erased.delete()
    closed, gone = await asyncio.gather(*answers)
    assert (closed.status, closed.closed, closed.items) == (204, True, None)
    assert gone.status == 404
    assert (await closing.get("?offset=-1&live=long-poll")).items == [1]
    assert (await closing.get("?offset=now&live=long-poll")).status == 204


async def test_sse_replays_follows_and_ends_with_the_stream(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(end_grace=0.05)
    await gateway.create("a")
    stored = await gateway.fill("a", 120)
    stream = Stream(gateway, "/streams/a")
    async with gateway.request("GET", "/streams/a?offset=-1&live=sse") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        assert "no-store" in response.headers["Cache-Control"]
        sse = Sse(response)
        items, control = await read_until(sse, "upToDate")
        assert [item["seq"] for item in items] == list(range(1, len(stored) + 1))
        assert control["streamNextOffset"] == (await stream.head()).offset
        assert control["streamCursor"].isdigit()
        await stream.post(["a\u2028b", {"x": 1}])
        assert (await read_until(sse, "upToDate"))[0] == ["a\u2028b", {"x": 1}]
        await stream.post(["last"], CLOSE)
        items, control = await read_until(sse, "streamClosed")
        assert items == ["last"]
        assert control == {"streamNextOffset": (await stream.head()).offset, "upToDate": True, "streamClosed": True}
        assert await sse.message() is None
    assert not gateway.followers


async def test_sse_of_a_closed_stream_ends_at_once(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(end_grace=0)
    await Stream(gateway, "/streams/a").put([1, 2], Stream_Closed="true")
    for offset, items in (("-1", [[1, 2]]), ("now", [])):
        async with gateway.request("GET", f"/streams/a?offset={offset}&live=sse") as response:
            lines = (await response.text()).splitlines()
        messages = [json.loads(line.removeprefix("data:")) for line in lines if line.startswith("data:")]
        assert messages[:-1] == items
        assert messages[-1]["streamClosed"]


async def test_sse_ends_when_the_session_is_erased(gateway: Gateway) -> None:
    stream = Stream(gateway, "/streams/a")
    await stream.put([1])
    async with gateway.request("GET", "/streams/a?offset=-1&live=sse") as response:
        sse = Sse(response)
        await read_until(sse, "upToDate")
        await stream.delete()
        assert await sse.message() is None


async def test_a_long_poll_is_counted_as_a_stream(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_streams=1)
    stream = Stream(gateway, "/streams/a")
    await stream.put([1])
    waiting = asyncio.create_task(stream.get("?offset=now&live=long-poll"))
    await until_followed(gateway)
    for live in ("sse", "long-poll"):
        assert (await stream.get(f"?offset=now&live={live}")).status == 503
    await stream.post([2])
    assert (await waiting).items == [2]


async def until_followed(gateway: Gateway, count: int = 1) -> None:
    """Wait until this many clients follow."""
    async with asyncio.timeout(20):
        while len(gateway.followers) < count:
            await asyncio.sleep(0.001)


async def read_until(sse: Sse, flag: str) -> tuple[list[Any], Message]:
    """Return the items up to a control event with this flag, and that event."""
    items: list[Any] = []
    while True:
        message = await sse.until("control")
        items += [item for each in message[:-1] for item in each["data"]]
        if message[-1]["data"].get(flag):
            return items, message[-1]["data"]


async def test_a_stream_is_followed_at_another_gateway_up_to_its_end(start_gateway: StartGateway) -> None:
    there, here = [await start_gateway(end_grace=0.1, poll_interval=0.02) for _ in range(2)]
    writer, reader = Stream(there, "/streams/a"), Stream(here, "/streams/a")
    await writer.put([1])
    waiting = asyncio.create_task(reader.get("?offset=now&live=long-poll"))
    async with here.request("GET", "/streams/a?offset=-1&live=sse") as response:
        sse = Sse(response)
        assert (await read_until(sse, "upToDate"))[0] == [1]
        await until_followed(here, 2)
        await writer.post([2])
        assert (await waiting).items == [2]
        assert (await read_until(sse, "upToDate"))[0] == [2]
        waiting = asyncio.create_task(reader.get("?offset=now&live=long-poll"))
        await until_followed(here, 2)
        await writer.post(None, CLOSE)
        assert (await waiting).closed
        assert (await read_until(sse, "streamClosed"))[0] == []

"""Durable streams: creating, appending, closing and erasing over HTTP."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.access.wired import allowed, start_guarded
from tests.gateway.durable_streams.calls import CLOSE, Stream, sending
from tests.support.gateways import Gateway, StartGateway, new_id
from tests.support.sockets import Socket, publish_path
from turnwire.gateway.durable_streams import items as stream_items
from turnwire.gateway.durable_streams.items import read_items
from turnwire.protocol.errors import StorageUnavailable
from turnwire.protocol.messages import EventIn
from turnwire.protocol.rights import Scope

EVENT = {"type": "bot_speech", "payload": {"text": "Hello!"}}


async def test_a_stream_is_a_session_and_its_items_are_events(gateway: Gateway) -> None:
    stream = Stream(gateway, "/streams/call")
    created = await stream.put([EVENT], Content_Language="de")
    assert (created.status, created.headers["Location"]) == (201, f"{gateway.url}/streams/call")
    assert created.headers["Content-Type"] == "application/json"
    appended = await stream.post([{**EVENT, "eventId": "mine"}, {"any": "value"}])
    assert (appended.status, appended.offset > created.offset) == (204, True)
    session = await gateway.get("/sessions/call")
    assert (session["language"], session["status"]) == ("de", "active")
    assert [event["type"] for event in session["events"]] == ["bot_speech", "bot_speech", "system"]
    assert session["events"][1]["eventId"] == "mine"
    assert session["events"][2]["payload"] == {"streamItem": {"any": "value"}}
    assert (await stream.get()).items == [*session["events"][:2], {"any": "value"}]


async def test_many_items_are_decoded_off_the_loop_and_few_on_it(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every two bytes may be an item: those of the largest body take a second."""
    seen: list[bool] = []

    def read(*args: Any, **options: Any) -> list[EventIn]:
        seen.append(threading.current_thread() is threading.main_thread())
        return read_items(*args, **options)

    monkeypatch.setattr(stream_items, "read_items", read)
    stream = Stream(gateway, "/streams/call")
    assert (await stream.put([1, 2])).status == 201
    assert (await stream.post([3] * 600)).status == 204
    assert (await Stream(gateway, "/streams/other").put([4] * 600)).status == 201
    assert seen == [True, False, False]
    assert (await gateway.get("/sessions/call"))["lastSeq"] == 602


async def test_a_body_of_more_items_than_allowed_is_refused_whole(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_stream_items=3)
    stream = Stream(gateway, "/streams/call")
    assert (await stream.put([1, 2, 3])).status == 201
    refused = await stream.post([4, 5, 6, 7])
    assert (refused.status, refused.items["code"]) == (413, "too_large")
    assert (await Stream(gateway, "/streams/other").put([1, 2, 3, 4])).status == 413
    assert (await Stream(gateway, "/streams/other").head()).status == 404
    assert (await stream.get()).items == [1, 2, 3]


async def test_creating_again_is_harmless_unless_it_asks_for_something_else(gateway: Gateway) -> None:
    stream = Stream(gateway, "/v1/stream/a")
    assert (await stream.put(["first"])).status == 201
    assert (await stream.put(["again"])).status == (await stream.put(Content_Language="und")).status == 200
    assert (await stream.get()).items == ["first"]
    assert (await gateway.get("/sessions/a"))["language"] == "und"
    for other in ({"Content_Language": "de"}, {"Stream_Closed": "true"}, {"Content_Type": "text/plain"}):
        assert (await stream.put(**other)).status == 409
    await stream.post(None, CLOSE)


async def test_a_stream_that_cannot_be_is_not_created(gateway: Gateway) -> None:
    stream = Stream(gateway, "/streams/a")
    for headers, status in (
        ({"Stream_TTL": "60"}, 400),
        ({"Stream_Expires_At": "2030-01-01T00:00:00Z"}, 400),
        ({"Stream_Forked_From": "/streams/other"}, 400),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Language": "x" * 65}, 400),
    ):
        assert (await stream.put(**headers)).status == status
        assert (await stream.head()).status == 404


async def test_an_invalid_append_is_refused_and_stores_nothing(gateway: Gateway) -> None:
    stream = Stream(gateway, "/streams/a")
    assert (await stream.post(["item"])).status == 404
    await stream.put()
    for items, headers, status in (
        (None, {}, 400),
        ([], {}, 400),
        ({"type": "user_speech"}, {}, 400),
        (["item"], {"Content-Type": "text/plain"}, 409),
        (["item"], {"Producer-Id": "a"}, 400),
        (["item"], sending("a", 0, 2**53), 400),
        (["item"], sending("", 0, 0), 400),
        (["item"], sending("a" * 257, 0, 0), 400),
        (["item"], {"Stream-Seq": "a" * 257}, 400),
        ([{**EVENT, "eventId": "mine"}], sending("a", 0, 0), 400),
    ):
        refused = await stream.post(items, headers)
        assert refused.status == status, (items, headers)
        assert refused.items["statusCode"] == status
    assert (await stream.get()).items == []


async def test_a_producers_request_is_stored_once(gateway: Gateway) -> None:
    stream = Stream(gateway, "/streams/a")
    await stream.put()
    first = await stream.post([EVENT, EVENT], sending("bot", 0, 0))
    assert (first.status, first.headers["Producer-Epoch"], first.headers["Producer-Seq"]) == (200, "0", "0")
    await stream.post([EVENT], sending("bot", 0, 1))
    again = await stream.post([EVENT, EVENT], sending("bot", 0, 0))
    assert (again.status, again.headers["Producer-Seq"]) == (204, "1")
    gap = await stream.post([EVENT], sending("bot", 0, 3))
    assert (gap.status, gap.headers["Producer-Expected-Seq"], gap.headers["Producer-Received-Seq"]) == (409, "2", "3")
    assert (await stream.post([EVENT], sending("bot", 1, 0))).status == 200
    stale = await stream.post([EVENT], sending("bot", 0, 2))
    assert (stale.status, stale.headers["Producer-Epoch"], stale.items["code"]) == (403, "1", "superseded")
    assert len((await stream.get()).items) == 4


async def test_producers_are_known_from_the_log(start_gateway: StartGateway) -> None:
    """Also what came over another gateway, or otherwise."""
    gateways = [await start_gateway() for _ in range(2)]
    here, there = (Stream(gateway, "/streams/a") for gateway in gateways)
    await here.put(["first"])
    for seq in range(60):
        assert (await here.post([seq], sending("bot", 2, seq))).status == 200
    assert (await there.post([59], sending("bot", 2, 59))).status == 204
    assert (await there.post([60], sending("bot", 1, 0))).status == 403
    assert (await there.post([60], sending("bot", 2, 60))).status == 200
    assert (await here.post([60], sending("bot", 2, 60))).status == 204
    assert (await here.post([61], sending("bot", 2, 61))).status == 200
    read = (await there.get()).items
    assert read == ["first", *range(62)]


async def test_of_many_requests_at_once_each_is_judged_after_the_one_before(gateway: Gateway) -> None:
    stream = Stream(gateway, "/streams/a")
    await stream.put()
    answers = await asyncio.gather(*(stream.post([n], sending("bot", 0, 0)) for n in range(10)))
    assert sorted(answer.status for answer in answers) == [200, *[204] * 9]
    assert len((await stream.get()).items) == 1


async def test_stream_seqs_must_rise(gateway: Gateway) -> None:
    stream = Stream(gateway, "/streams/a")
    await stream.put()
    statuses = [(await stream.post([seq], {"Stream-Seq": seq})).status for seq in ("02", "1", "1", "0", "a")]
    assert statuses == [204, 204, 409, 409, 204]
    assert (await stream.get()).items == ["02", "1", "a"]


async def test_more_items_than_an_append_may_have_are_stored_as_several(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(max_batch_events=7)
    stream = Stream(gateway, "/streams/a")
    await stream.put()
    assert (await stream.post(list(range(30)), sending("bot", 0, 0))).status == 200
    assert (await stream.post(list(range(30)), sending("bot", 0, 0))).status == 204
    assert (await stream.get()).items == list(range(30))


async def test_closing_ends_the_session_once(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(end_grace=0)
    stream = Stream(gateway, "/streams/a")
    await stream.put()
    closed = await stream.post(["last"], {**CLOSE, **sending("bot", 0, 0)})
    assert (closed.status, closed.closed) == (200, True)
    for items, headers, status in (
        (["last"], {**CLOSE, **sending("bot", 0, 0)}, 204),
        (None, CLOSE, 204),
        (["more"], {}, 409),
        (["more"], CLOSE, 409),
        (["more"], sending("bot", 0, 1), 409),
        (["more"], sending("bot", 0, 7), 409),
    ):
        answer = await stream.post(items, headers)
        assert (answer.status, answer.closed, answer.offset) == (status, True, closed.offset)
    assert (await stream.put(Stream_Closed="true")).status == 200
    assert (await stream.put()).status == 409
    session = await gateway.get("/sessions/a")
    assert (session["status"], len(session["events"])) == ("completed", 1)


async def test_a_stream_can_be_created_whole(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(end_grace=0)
    stream = Stream(gateway, "/streams/a")
    assert (await stream.put([EVENT], Stream_Closed="true")).closed
    assert (await stream.head()).closed
    assert (await gateway.get("/sessions/a"))["status"] == "completed"


@pytest.mark.parametrize("cut", ["append", "complete"])
@pytest.mark.parametrize("batch", [500, 2])
async def test_a_creation_that_was_cut_off_is_completed_when_it_is_repeated_elsewhere(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch, cut: str, batch: int
) -> None:
    here, there = [await start_gateway(end_grace=0, max_batch_events=batch) for _ in range(2)]
    items: list[object] = [EVENT, "two", 3]
    whole = getattr(here.parts.requests, cut)

    async def cut_off(session_id: str, *arguments: object, **options: object) -> object:
        if cut == "append" and batch < len(items) and not here.live[session_id].state.record.last_seq:
            return await whole(session_id, *arguments, **options)
        raise StorageUnavailable

    monkeypatch.setattr(here.parts.requests, cut, cut_off)
    assert (await Stream(here, "/streams/a").put(items, Stream_Closed="true")).status == 503
    other = await Stream(there, "/streams/a").put([*items, "more"], Stream_Closed="true")
    assert other.status == 409, "the stream of another request, which is open"
    stream = Stream(there, "/streams/a")
    repeated = await stream.put(items, Stream_Closed="true")
    assert (repeated.status, repeated.closed) == (201, True)
    read = (await stream.get()).items
    assert [read[0]["payload"], *read[1:]] == [EVENT["payload"], "two", 3]
    for gateway in (here, there):
        assert (await Stream(gateway, "/streams/a").put(items, Stream_Closed="true")).status == 200
    assert len((await stream.get()).items) == 3


async def test_location_follows_the_headers_of_a_trusted_proxy(start_gateway: StartGateway) -> None:
    behind = {"X_Forwarded_Proto": "http, https", "X_Forwarded_Prefix": "/turnwire/", "Host": "calls.example:8443"}
    for trusted, headers, found in (
        ("127.0.0.1", {}, "{url}/streams/a%2Fb/1"),
        ("127.0.0.1", behind, "https://calls.example:8443/turnwire/streams/a%2Fb/1"),
        ("127.0.0.1", {**behind, "X_Forwarded_Proto": "gopher", "X_Forwarded_Prefix": "x"}, "{host}/streams/a%2Fb/1"),
        ("10.0.0.0/8", behind, "{host}/streams/a%2Fb/1"),
    ):
        gateway = await start_gateway(trusted_proxies=trusted, allowed_hosts="*", mongodb_database=new_id("t"))
        created = await Stream(gateway, "/streams/a%2Fb/1?x=1").put(**headers)
        assert created.headers["Location"] == found.format(url=gateway.url, host="http://calls.example:8443")


async def test_a_session_that_has_ended_takes_items_until_its_grace_is_over(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(end_grace=3600)
    stream = Stream(gateway, "/streams/a")
    await stream.put()
    assert (await stream.post(None, CLOSE)).closed
    assert not (await stream.head()).closed
    late = await stream.post(["late"])
    assert (late.status, late.closed) == (204, False)
    assert not (await stream.get()).closed


async def test_deleting_erases_the_session_unless_it_is_published(gateway: Gateway) -> None:
    stream = Stream(gateway, "/streams/a")
    await stream.put(["old"])
    publisher = await Socket.connect(gateway, publish_path("a", "en"))
    assert (await stream.delete()).status == 409
    await publisher.close()
    await gateway.post("/sessions/a/complete", {})
    assert (await stream.delete()).status == 204
    assert (await stream.delete()).status == (await stream.get()).status == (await stream.post(["x"])).status == 404
    assert (await stream.put(["new"])).status == 201
    assert (await stream.get()).items == ["new"]


async def test_the_name_of_a_stream_may_have_slashes(gateway: Gateway) -> None:
    stream = Stream(gateway, "/streams/tenant/call%201")
    await stream.put(["x"])
    assert (await gateway.get("/sessions/tenant%2Fcall%201"))["lastSeq"] == 1
    assert (await Stream(gateway, "/v1/stream/-?sessionId=tenant/call%201").get()).items == ["x"]
    for path, status in (("/streams/", 400), ("/streams/__ds/subscriptions/a", 404), ("/streams/__ds", 404)):
        assert (await Stream(gateway, path).put()).status == status


async def test_each_way_to_write_needs_all_of_its_scopes(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = await start_guarded(start_gateway, tmp_path)
    for method, items, headers, scopes in (
        ("PUT", None, {}, "session:create"),
        ("PUT", [EVENT], {}, "session:create session:publish"),
        ("POST", [EVENT], {}, "session:publish"),
        ("POST", [EVENT], CLOSE, "session:publish session:complete"),
        ("POST", None, CLOSE, "session:complete"),
    ):
        stream = Stream(gateway, f"/streams/{new_id('a')}")
        await stream.ask("PUT", "", None, allowed("session:create") if method == "POST" else allowed(""))
        for missing in scopes.split():
            others = allowed(" ".join(set(Scope) - {missing, "admin"}))
            assert (await stream.ask(method, "", items, {**headers, **others})).status == 403
        answer = await stream.ask(method, "", items, {**headers, **allowed(scopes)})
        assert answer.status in (201, 204)

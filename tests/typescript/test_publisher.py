"""The publisher of the TypeScript client over broken connections, and with gateways that are away."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import Any

import pytest

from tests.support.gateways import Gateway, StartGateway
from tests.turnwire.relay import Relay, eventually
from tests.typescript.node import Node, NodeError

OPEN = "acks = []; call = await Publisher.open(url, 'call', { onAck: (acked) => acks.push(acked) });"
SLACK = 3.0
"""Extra seconds, for a machine that does other work too."""


async def log_of(gateway: Gateway, session_id: str = "call") -> list[dict[str, Any]]:
    async with gateway.request("GET", f"/sessions/{session_id}/events", headers=NDJSON) as response:
        return [json.loads(line) for line in (await response.text()).splitlines()]


NDJSON = {"Accept": "application/x-ndjson"}


async def numbers(gateway: Gateway) -> list[int]:
    return [event["payload"]["n"] for event in await log_of(gateway)]


async def session_until(gateway: Gateway, field: str, value: Any) -> None:
    """Wait until a field of the session has this value."""
    async with asyncio.timeout(20):
        while (await gateway.get("/sessions/call"))[field] != value:
            await asyncio.sleep(0.005)


async def away(node: Node, relay: Relay) -> None:
    """Take the gateway away, and wait until the publisher has noticed it."""
    relay.refusing = True
    relay.cut()
    await node.run("await until(() => !call.connected);")


async def test_events_are_stored_once_in_order_across_broken_connections(
    gateway: Gateway, relay: Relay, node: Node
) -> None:
    await node.run(OPEN, url=relay.url)
    for first in range(0, 300, 60):
        await node.run("for (let n = first; n < first + 60; n++) await call.send('user_speech', { n });", first=first)
        relay.cut()
        await node.run("await until(() => !call.connected);")
    assert await node.run("await call.close(); return acks.map((ack) => ack.seq);") == list(range(1, 301))
    assert await numbers(gateway) == list(range(300))


async def test_events_whose_acks_were_lost_are_not_sent_again(gateway: Gateway, relay: Relay, node: Node) -> None:
    await node.run(OPEN + "await call.send('system', { n: 0 }); await call.flush();", url=relay.url)
    relay.swallow()
    await node.run("for (let n = 1; n < 4; n++) await call.send('system', { n });")
    await session_until(gateway, "lastSeq", 4)
    relay.cut()
    acks = await node.run("await call.flush(); return acks.map(({ seq, duplicate }) => [seq, duplicate]);")
    assert acks == [[seq, False] for seq in range(1, 5)]
    sent = [json.loads(text).get("events", []) for _, _, way, text in await node.run("return frames;") if way == ">"]
    assert sum(map(len, sent)) == 4
    assert await numbers(gateway) == [0, 1, 2, 3]


async def test_events_with_lost_acks_are_sent_again_if_someone_else_wrote_too(
    gateway: Gateway, relay: Relay, node: Node
) -> None:
    await node.run(OPEN, url=relay.url)
    relay.swallow()
    await node.run("await call.send('system', { n: 0 });")
    await session_until(gateway, "lastSeq", 1)
    await gateway.post("/sessions/call/events", {"eventId": "x", "type": "system", "payload": {"n": 9}}, status=201)
    relay.cut()
    acks = await node.run("await call.flush(); return acks.map(({ seq, duplicate }) => [seq, duplicate]);")
    assert acks == [[1, True]]
    assert await numbers(gateway) == [0, 9]


async def test_a_publisher_replaces_a_connection_that_has_gone_silent(start_gateway: StartGateway, node: Node) -> None:
    gateway = await start_gateway(ping_interval=0.1)
    async with Relay(gateway.port) as relay:
        await node.run(OPEN, url=relay.url)
        relay.swallow()
        await eventually(lambda: relay.connections == 2)
        await node.run("await call.send('system', { n: 0 }); await call.flush();")
    assert await numbers(gateway) == [0]


async def test_a_publisher_keeps_a_quiet_connection_whose_gateway_answers(
    gateway: Gateway, relay: Relay, node: Node
) -> None:
    await node.run("LINK_TIMES.quiet = 200;" + OPEN, url=relay.url)
    await node.run("await until(() => frames.filter(([, , , text]) => text.includes('pong')).length === 3);")
    assert relay.connections == 1


async def test_a_publisher_reconnects_to_a_gateway_that_never_answers(
    gateway: Gateway, relay: Relay, node: Node
) -> None:
    await node.run("LOOP_TIMES.answer = 200;" + OPEN, url=relay.url)
    relay.swallow()
    await node.run("await call.send('system', { n: 0 }); await call.flush();")
    assert await numbers(gateway) == [0]
    assert relay.connections == 2


async def test_answers_to_pings_do_not_count_as_answers_to_events(node: Node) -> None:
    """A gateway that answers pings and acks nothing is left."""
    code = """
        LOOP_TIMES.answer = 400;
        LINK_TIMES.quiet = 100;
        const limits = { maxInFlight: 9, maxEventBytes: 999, maxFrameBytes: 9999, maxBatchEvents: 9, maxDepth: 9 };
        const opened = { type: 'opened', session: {}, lastSeq: 0, lastEventId: null, limits, serverTime: 'now' };
        opened.limits.pingIntervalMs = 100;
        let connections = 0;
        let pongs = 0;
        class Answering {
          protocol = 'turnwire.v1.json';
          bufferedAmount = 0;
          constructor() {
            connections += 1;
            setTimeout(() => { this.onopen(); this.tell('null'); this.tell(JSON.stringify(opened)); });
          }
          tell(data) { this.onmessage?.({ data }); }
          send(text) {
            if (text !== '{"type":"ping"}') return;
            pongs += 1;
            setTimeout(() => this.tell('{"type":"pong"}'));
          }
          close() { this.onclose?.({ code: 1005, reason: '' }); }
        }
        call = await Publisher.open('http://127.0.0.1:9', 'call', { WebSocket: Answering, drainTimeoutMs: 0 });
        call.post('system', {});
        await until(() => connections === 2);
        await call.close();
        return pongs;
    """
    assert await node.run(code) > 1


async def test_a_lost_answer_to_complete_is_recovered_after_the_grace_time(
    start_gateway: StartGateway, node: Node
) -> None:
    gateway = await start_gateway(end_grace=0)
    async with Relay(gateway.port) as relay:
        await node.run(OPEN, url=relay.url)
        relay.swallow()
        await node.run("call.post('system', { n: 0 }); call.post('system', { n: 1 }); ending = call.complete();")
        await session_until(gateway, "status", "completed")
        relay.cut()
        assert await node.run("return (await ending).lastSeq;") == 2
        assert await node.run("return acks.map((ack) => ack.seq);") == [1, 2]


async def test_events_that_came_too_late_are_counted_in_the_error_and_kept(
    start_gateway: StartGateway, node: Node
) -> None:
    gateway = await start_gateway(end_grace=0)
    async with Relay(gateway.port) as relay:
        await node.run(OPEN + "await call.send('system', { n: 0 }); await call.flush();", url=relay.url)
        await away(node, relay)
        await node.run("await call.send('system', { n: 1 }, { eventId: 'late' });")
        await gateway.post("/sessions/call/complete", {})
        relay.refusing = False
        with pytest.raises(NodeError, match=r"SessionEnded: .*1 came too late"):
            await node.run("await call.flush();")
    assert await node.run("return call.unanswered().map((event) => event.eventId);") == ["late"]


async def test_hints_are_shown_to_subscribers_and_dropped_while_the_gateway_is_away(
    gateway: Gateway, relay: Relay, node: Node
) -> None:
    follow = """
        hints = [];
        following = subscribe(gateway, 'call', { onSignal: (signal) => hints.push(signal.payload.n) });
        (async () => { for await (const event of following); })();
        await until(() => following.caughtUp);
    """
    await node.run(OPEN + follow, url=relay.url, gateway=gateway.url)
    await away(node, relay)
    await node.run("call.hint('interim', { n: 1 });")
    relay.refusing = False
    await node.run(
        "await until(() => call.connected); call.hint('interim', { n: 2 }); await until(() => hints.length);"
    )
    assert await node.run("return hints;") == [2]


async def test_sending_into_a_full_outbox_waits_and_posting_into_it_drops(
    gateway: Gateway, relay: Relay, node: Node
) -> None:
    await node.run("call = await Publisher.open(url, 'call', { maxOutbox: 2 });", url=relay.url)
    await away(node, relay)
    await node.run("await call.send('system', { n: 0 }); await call.send('system', { n: 1 });")
    with pytest.raises(NodeError, match="TimedOut"):
        await node.run("await call.send('system', { n: 99 }, { timeoutMs: 50 });")
    with pytest.raises(NodeError, match="TimedOut"):
        await node.run("await call.flush({ timeoutMs: 50 });")
    assert await node.run("call.post('system', { n: 98 }); return call.dropped;") == 1
    relay.refusing = False
    await node.run("await call.send('system', { n: 2 }); await call.close();")
    assert await numbers(gateway) == [0, 1, 2]


async def test_a_publisher_keeps_within_the_gateways_window(start_gateway: StartGateway, node: Node) -> None:
    gateway = await start_gateway(max_in_flight=5)
    await node.run(OPEN + "for (let n = 0; n < 100; n++) call.post('system', { n });", url=gateway.url)
    frames = await node.run("await call.close(); return frames;")
    unanswered, most = 0, 0
    for _, _, _, text in frames:
        message = json.loads(text)
        unanswered += len(message.get("events", [])) - len(message.get("acks", []))
        most = max(most, unanswered)
    assert most == 5
    assert await numbers(gateway) == list(range(100))


async def test_a_publisher_returns_after_its_gateway_has_drained(start_gateway: StartGateway, node: Node) -> None:
    first = await start_gateway(reconnect_after=0)
    async with Relay(first.port) as relay:
        await node.run(OPEN + "for (let n = 0; n < 50; n++) call.post('system', { n });", url=relay.url)
        second = await start_gateway()
        relay.target_port = second.port
        await first.stop()
        await node.run("for (let n = 50; n < 100; n++) call.post('system', { n }); await call.flush();")
        assert await node.run("return logged;") == []
    assert await numbers(second) == list(range(100))


async def test_a_publisher_that_need_not_wait_delivers_once_the_gateway_is_there(
    gateway: Gateway, relay: Relay, node: Node
) -> None:
    relay.refusing = True
    await node.run("call = Publisher.start(url, 'call'); call.post('system', { n: 0 });", url=relay.url)
    await eventually(lambda: relay.refused > 0)
    relay.refusing = False
    await node.run("await call.close();")
    assert await numbers(gateway) == [0]
    began, ended = await node.run("return logged;")
    assert "no connection, trying again" in began
    assert "connected again after" in ended


@pytest.mark.parametrize("fault", ["away", "silent"])
async def test_leaving_takes_no_longer_than_its_limit(gateway: Gateway, relay: Relay, node: Node, fault: str) -> None:
    await node.run("call = await Publisher.open(url, 'call', { drainTimeoutMs: 300 });", url=relay.url)
    if fault == "away":
        await away(node, relay)
    else:
        relay.stall()
    began = time.monotonic()
    await node.run("for (let n = 0; n < 7; n++) call.post('system', { n }); await call.close();")
    assert 0.25 < time.monotonic() - began < 0.3 + SLACK
    assert await node.run("return call.unanswered().map((event) => event.payload.n);") == list(range(7))
    assert "7 events without an answer" in (await node.run("return logged;"))[-1]


async def test_nothing_keeps_a_process_running_after_leaving(gateway: Gateway, node: Node) -> None:
    await node.run(OPEN + "call.post('system', { n: 0 }); await call.close();", url=gateway.url)
    async with asyncio.timeout(10):
        assert await node.leave() == 0


async def test_opening_gives_up_after_its_limit(node: Node) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(NodeError, match=r"Unreachable: gave up after 0\.3 s: .*ECONNREFUSED"):
            await node.run("await Publisher.open(url, 'call', { connectTimeoutMs: 300 });", url=url)


async def test_a_publisher_gives_up_on_a_lost_gateway_and_keeps_the_events(
    gateway: Gateway, relay: Relay, node: Node
) -> None:
    await node.run("call = await Publisher.open(url, 'call', { giveUpAfterMs: 300 });", url=relay.url)
    await away(node, relay)
    with pytest.raises(NodeError, match=r"Unreachable: gave up after 0\.3 s"):
        await node.run("call.post('system', {}, { eventId: 'e1' }); await call.flush();")
    assert await node.run("return call.unanswered()[0].eventId;") == "e1"


async def test_a_publisher_that_is_taken_over_stops_for_good(gateway: Gateway, node: Node) -> None:
    await node.run(OPEN + "other = await Publisher.open(url, 'call');", url=gateway.url)
    with pytest.raises(NodeError, match="Superseded"):
        await node.run("await until(() => !call.connected); await call.complete();")
    assert await node.run("return other.connected;")


async def test_refused_events_harm_no_others_and_are_told_once(gateway: Gateway, node: Node) -> None:
    twice = "for (const n of [1, 2]) call.post('system', { n }, { eventId: 'same' });"
    await node.run(OPEN + twice, url=gateway.url)
    with pytest.raises(NodeError, match=r"EventsRejected: the gateway refused event same \(event_conflict"):
        await node.run("call.post('system', { n: 3 }); await call.flush();")
    await node.run("await call.flush();")
    assert await node.run("return call.nacks.map((nack) => nack.code);") == ["event_conflict"]
    assert await numbers(gateway) == [1, 3]


async def test_a_session_that_must_exist_and_does_not_is_an_error(gateway: Gateway, node: Node) -> None:
    with pytest.raises(NodeError, match="SessionNotFound: Session nobody not found"):
        await node.run("await Publisher.open(url, 'nobody', { language: null });", url=gateway.url)


async def test_a_session_gets_its_language_its_metadata_and_its_end(gateway: Gateway, node: Node) -> None:
    code = """
        call = await Publisher.open(url, 'a/b ü', { language: 'de', metadata: { bot: 'b1' } });
        call.post('bot_speech', { text: 'Grüezi 😀' }, { timestamp: new Date(0) });
        return await call.complete({ status: 'failed', reason: 'hangup' });
    """
    session = await node.run(code, url=gateway.url)
    assert (session["sessionId"], session["language"], session["metadata"]) == ("a/b ü", "de", {"bot": "b1"})
    assert (session["status"], session["endReason"], session["lastSeq"]) == ("failed", "hangup", 1)
    (event,) = await log_of(gateway, "a%2Fb%20%C3%BC")
    assert (event["payload"], event["timestamp"]) == ({"text": "Grüezi 😀"}, "1970-01-01T00:00:00.000Z")


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ("7", "the session id must be a string"),
        ("'..'", "and not . or .., but is .."),
        ("'\\ud83d'", "the session id must be a string of valid Unicode"),
        ("'c', { metadata: { a: 10n } }", "metadata.a: a bigint is not JSON"),
    ],
)
async def test_a_session_that_no_gateway_takes_is_refused_at_once(node: Node, arguments: str, fault: str) -> None:
    with pytest.raises(NodeError, match=f"TypeError: .*{fault}"):
        await node.run(f"Publisher.start('http://127.0.0.1:1', {arguments});")


@pytest.mark.parametrize("end", ["{ status: 'over' }", "{ reason: '' }", "{ reason: 7 }", "{ reason: '\\ud83d' }"])
async def test_an_end_that_no_gateway_takes_is_refused_and_costs_no_event(
    gateway: Gateway, node: Node, end: str
) -> None:
    await node.run("call = await Publisher.open(url, 'call'); call.post('system', { n: 1 });", url=gateway.url)
    with pytest.raises(NodeError, match=r"RangeError: the (status|reason) must"):
        await node.run(f"await call.complete({end});")
    await node.run("call.post('system', { n: 2 }); await call.complete(); await call.close();")
    assert await numbers(gateway) == [1, 2]


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("NaN", "payload.a: NaN is not JSON"),
        ("2 ** 63", "does not fit in 64 bits"),
        ("10n", "a bigint is not JSON"),
        ("() => 1", "a function is not JSON"),
        ("[undefined]", r"payload.a\[0\]: undefined is not JSON"),
        ("'\\ud83d'", "lone surrogate"),
        ("{ 'x\\0': 1 }", "NUL"),
        ("{ $ref: 1, $id: 2 }", "both"),
        ("JSON.parse('['.repeat(64) + ']'.repeat(64))", "too many levels"),
        ("'x'.repeat(131072)", "exceed the gateway's limit of 131072"),
    ],
)
async def test_a_payload_that_cannot_be_stored_is_refused_at_once(node: Node, value: str, fault: str) -> None:
    with pytest.raises(NodeError, match=f"InvalidEvent: .*{fault}"):
        await node.run(f"call = Publisher.start('http://127.0.0.1:1', 'c'); call.post('system', {{ a: {value} }});")


async def test_any_json_value_arrives_as_it_was_sent(gateway: Gateway, node: Node) -> None:
    payload = {"deep": [[{"x": None}], []], "n": [1e300, -0.5, 2**53 - 1, 1e21], "t": "a\u2028b\u0000c", "b": True}
    code = "await call.send('system', { ...payload, gone: undefined, at: new Date(0) }); await call.flush();"
    await node.run(OPEN + code, url=gateway.url, payload=payload)
    (event,) = await log_of(gateway)
    assert event["payload"] == {**payload, "at": "1970-01-01T00:00:00.000Z"}

"""One connection of the TypeScript client for many subscriptions."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import pytest

from tests.support.credentials import make_key, write_keys
from tests.support.gateways import Gateway, StartGateway, new_event
from tests.turnwire.relay import Relay
from tests.typescript.node import Node, NodeError

OPEN: Final = """
    states = [];
    gateway = new Connection(url, { ...options, onState: (state) => states.at(-1) !== state && states.push(state) });
    got = {};
    loops = [];
    follow = (id) => {
      got[id] = [];
      const loop = async () => { for await (const { seq } of gateway.subscribe(id)) got[id].push(seq); };
      loops.push(loop());
    };
    seen = [];
    watch = (asked) => {
      feed = gateway.followSessions(asked);
      const loop = async () => {
        for await (const { sessionId, lastSeq } of feed) seen.push([sessionId, lastSeq, feed.summaryOf(sessionId)]);
      };
      loops.push(loop());
    };
"""

SCRIPTED: Final = """
    sent = [];
    class Scripted {
      protocol = 'turnwire.v1.json';
      bufferedAmount = 0;
      constructor() { globalThis.socket = this; setTimeout(() => this.onopen()); }
      tell(...messages) { for (const each of messages) this.onmessage?.({ data: JSON.stringify(each) }); }
      send(text) { sent.push(JSON.parse(text)); }
      close() { this.onclose?.({ code: 1005, reason: '' }); }
    }
    options = { WebSocket: Scripted };
    url = 'http://127.0.0.1:9';
    refsOf = (id) => sent.filter((each) => each.type === 'subscribe' && each.sessionId === id).map(({ ref }) => ref);
"""
"""A gateway that says what a test says, instead of a WebSocket."""


async def test_subscriptions_and_the_feed_share_one_socket_and_each_continues_after_a_break(
    gateway: Gateway, relay: Relay, node: Node
) -> None:
    ids = ["a", "b", "c"]
    for name in ids:
        await gateway.create(name)
        await gateway.fill(name, 3)
    await node.run(OPEN, url=relay.url, options={})
    await node.run("ids.forEach(follow); watch({});", ids=ids)
    await node.run("await until(() => seen.length === 3 && ids.every((id) => got[id].length === 3));")
    relay.cut()
    for name in ids:
        await gateway.post(f"/sessions/{name}/events", new_event("after"), status=201)
    await node.run("await until(() => ids.every((id) => got[id].length === 4));")
    await node.run("await until(() => ids.every((id) => seen.some((each) => each[0] === id && each[1] === 4)));")
    assert await node.run("return got;") == {name: [1, 2, 3, 4] for name in ids}
    assert await node.run("return new Set(frames.map(([number]) => number)).size;") == 2
    assert await node.run("return states;") == ["connecting", "live", "reconnecting", "live"]
    await node.run("gateway.close(); await Promise.all(loops);")
    assert await node.leave() == 0


async def test_a_subscription_that_is_refused_or_left_leaves_the_others_alone(gateway: Gateway, node: Node) -> None:
    await gateway.create("call")
    await gateway.create("other")
    await gateway.fill("call", 1)
    await gateway.fill("other", 1)
    await node.run(OPEN + "follow('call'); await until(() => got.call.length === 1);", url=gateway.url, options={})
    with pytest.raises(NodeError, match="SessionNotFound"):
        await node.run("for await (const event of gateway.subscribe('nobody'));")
    await node.run("for await (const event of gateway.subscribe('other')) break;")
    await gateway.post("/sessions/call/events", new_event("e2"), status=201)
    await node.run("await until(() => got.call.length === 2);")
    assert await node.run("return states;") == ["connecting", "live"]
    assert await node.run("return new Set(frames.map(([number]) => number)).size;") == 1


async def test_a_fault_of_one_subscription_is_repaired_without_the_others(node: Node) -> None:
    code = """
        follow('whole'); follow('holed'); follow('late');
        await until(() => refsOf('late').length === 1);
        const events = (ref, ...seqs) => ({ type: 'events', ref, events: seqs.map((seq) => ({ seq })) });
        const [whole] = refsOf('whole');
        const [late] = refsOf('late');
        socket.tell(events(refsOf('holed')[0], 1, 3), events(whole, 1));
        socket.tell({ type: 'error', ref: late, code: 'storage_unavailable', message: 'wait', retryable: true });
        await until(() => refsOf('late').length === 2 && refsOf('holed').length === 2);
        socket.tell(events(refsOf('holed')[1], 1, 2, 3), events(refsOf('late')[1], 1));
        socket.tell(events(late, 9), events(whole, 2));
        await until(() => got.whole.length === 2 && got.holed.length === 3 && got.late.length === 1);
        const left = sent.filter(({ type }) => type === 'unsubscribe').map(({ ref }) => ref);
        return [got, left.length, states, sent.filter(({ sessionId }) => sessionId === 'holed').map((e) => e.afterSeq)];
    """
    await node.run(SCRIPTED + OPEN)
    got, left, states, asked = await node.run(code)
    assert got == {"whole": [1, 2], "holed": [1, 2, 3], "late": [1]}
    assert left == 1  # a subscription that got an error is gone already
    assert states == ["connecting", "live"]
    assert asked == [0, 0]


async def test_a_silent_gateway_makes_the_connection_stale_and_then_lost(node: Node) -> None:
    await node.run(SCRIPTED + "Object.assign(options, { pingAfterMs: 20, quietMs: 400 });" + OPEN)
    await node.run("follow('call'); await until(() => gateway.state === 'stale'); socket.tell({ type: 'pong' });")
    assert await node.run("return [gateway.state, gateway.silentForMs < 400];") == ["live", True]
    await node.run("await until(() => gateway.state === 'reconnecting');")
    assert await node.run("return states;") == ["connecting", "live", "stale", "live", "stale", "reconnecting"]


async def test_a_connection_that_is_waiting_can_be_told_to_connect_at_once(
    gateway: Gateway, relay: Relay, node: Node
) -> None:
    await gateway.create("call")
    relay.refusing = True
    await node.run("PAUSES.spread = 3_600_000;" + OPEN + "follow('call');", url=relay.url, options={})
    assert await node.run("await until(() => gateway.retryAt); return gateway.retryAt > Date.now();")
    assert await node.run("return [gateway.state, gateway.silentForMs >= 0];") == ["connecting", True]
    relay.refusing = False
    await node.run("gateway.retry(); await until(() => gateway.state === 'live');")
    assert await node.run("return gateway.retryAt;") is None


async def test_a_connection_is_back_as_soon_as_a_leaving_gateway_has_asked(node: Node) -> None:
    await node.run("PAUSES.spread = 3_600_000;" + SCRIPTED + OPEN + "follow('call');")
    await node.run("""
        await until(() => gateway.state === 'live');
        globalThis.first = socket;
        socket.tell({ type: 'goaway', reason: 'restart', reconnectAfterMs: 20 });
        socket.onclose({ code: 1012, reason: '' });
        await until(() => socket !== first && gateway.state === 'live');
    """)
    assert await node.run("return states;") == ["connecting", "live", "reconnecting", "live"]


async def test_a_gateway_keeps_a_client_away_for_ten_minutes_at_most(node: Node) -> None:
    await node.run(SCRIPTED + OPEN + "follow('call');")
    for asked in (3e9, 1e300):  # a timer of more than 24 days would fire at once
        code = """
            await until(() => gateway.state === 'live');
            socket.tell({ type: 'goaway', reason: 'restart', reconnectAfterMs: asked });
            socket.onclose({ code: 1012, reason: '' });
            await until(() => gateway.retryAt);
            const wait = gateway.retryAt - Date.now();
            gateway.retry();
            return wait;
        """
        assert 299_000 <= await node.run(code, asked=asked) <= 601_000


async def test_a_proxy_without_a_gateway_is_asked_again(node: Node) -> None:
    code = """
        class Refused { constructor() { setTimeout(() => this.onclose({ code: 1006, reason: '' })); } close() {} }
        options = { WebSocket: Refused, fetch: async () => new Response('no such service', { status: 404 }) };
        url = 'http://127.0.0.1:9';
    """
    await node.run(code + OPEN + "follow('call'); await until(() => gateway.retryAt);")
    assert await node.run("return states;") == ["connecting"]


async def test_a_refused_connection_ends_every_subscription_and_a_later_one_connects_again(
    start_gateway: StartGateway, node: Node, tmp_path: Path
) -> None:
    key, line = make_key("reader", "session:read session:list")
    gateway = await start_gateway(api_keys_file=write_keys(tmp_path / "keys", line))
    code = """
        options = { token: () => given };
        given = 'unknown';
    """
    await node.run(code + OPEN + "follow('call'); watch({});", url=gateway.url)
    outcome = "return (await Promise.allSettled(loops)).map(({ reason }) => [reason.name, reason.code]);"
    assert await node.run(outcome) == [["NotAllowed", "unauthenticated"]] * 2
    assert await node.run("return gateway.state;") == "closed"
    with pytest.raises(NodeError, match="SessionNotFound"):
        await node.run("given = key; for await (const event of gateway.subscribe('call'));", key=key)
    assert await node.run("return gateway.state;") == "live"


async def test_a_loop_over_a_feed_that_has_failed_continues_where_the_feed_was(
    start_gateway: StartGateway, node: Node, tmp_path: Path
) -> None:
    key, line = make_key("any", "admin")
    gateway = await start_gateway(api_keys_file=write_keys(tmp_path / "keys", line))
    gateway.client.headers["Authorization"] = f"Bearer {key}"
    await gateway.create("ends")
    await gateway.create("stays")
    async with Relay(gateway.port) as relay:
        await node.run("given = key; options = { token: () => given };" + OPEN + "watch({});", url=relay.url, key=key)
        await node.run("await until(() => seen.length === 2); given = 'unknown';")
        relay.cut()
        assert await node.run("return (await Promise.allSettled(loops))[0].reason.name;") == "NotAllowed"
        await gateway.post("/sessions/ends/complete", {})
        code = "given = key; for await (const { sessionId, status } of feed) return [sessionId, status];"
        assert await node.run(code) == ["ends", "completed"]


async def test_more_sessions_than_a_feed_begins_with_are_read_by_rest(gateway: Gateway, node: Node) -> None:
    began = "2026-01-01T10:00:00"
    await asyncio.gather(*(gateway.create(f"call-{n:03}", startedAt=f"{began}.{n:03}Z") for n in range(503)))
    await node.run(OPEN + "watch({ status: ['initiated'], newest: 502 });", url=gateway.url, options={})
    await node.run("await until(() => seen.length === 502);")
    assert await node.run("return seen.slice(500).map(([id]) => id);") == ["call-002", "call-001"]


async def test_the_feed_gives_summaries_and_tells_of_erased_sessions(gateway: Gateway, node: Node) -> None:
    await gateway.create("call")
    await gateway.post("/sessions/call/events", new_event("e1", {"text": "Hello?"}), status=201)
    code = """
        told = [];
        watch({ summaries: true, onBegun: () => told.push('begun'), onErased: (id) => told.push(id) });
        await until(() => seen.some(([, , summary]) => summary));
        return seen.at(-1)[2].lastLine.text;
    """
    assert await node.run(OPEN + code, url=gateway.url, options={}) == "Hello?"
    async with gateway.request("DELETE", "/sessions/call") as response:
        assert response.status == 204
    assert await node.run("await until(() => told.length === 2); return told;") == ["begun", "call"]
    assert await node.run("return feed.summaryOf('call');") is None


async def test_signals_of_a_lost_connection_are_known_to_be_old(gateway: Gateway, relay: Relay, node: Node) -> None:
    await gateway.create("call")
    code = """
        told = [];
        const calls = { onCaughtUp: () => told.push('caught up'), onBroken: () => told.push('broken') };
        (async () => { for await (const event of gateway.subscribe('call', calls)); })();
        await until(() => told.length === 1);
    """
    await node.run(OPEN + code, url=relay.url, options={})
    relay.cut()
    assert await node.run("await until(() => told.length === 3); return told;") == ["caught up", "broken", "caught up"]


async def test_another_parser_may_keep_numbers_as_they_were_sent(gateway: Gateway, node: Node) -> None:
    await gateway.create("call")
    await gateway.post("/sessions/call/events", new_event("e1", {"n": 2**53 + 1}), status=201)
    code = """
        const exact = (key, value, { source }) => (key === 'n' ? source : value);
        const parse = (text) => JSON.parse(text, exact);
        const { events } = await new Client(url, { parse }).events('call');
        for await (const event of subscribe(url, 'call', { parse })) return [event.payload.n, events[0].payload.n];
    """
    assert await node.run(code, url=gateway.url) == [str(2**53 + 1)] * 2

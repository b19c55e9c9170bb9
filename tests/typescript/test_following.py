"""Following one session and all sessions with the TypeScript client, over broken connections."""

from __future__ import annotations

import pytest

from tests.support.gateways import Gateway, new_event
from tests.turnwire.relay import Relay
from tests.typescript.node import Node, NodeError

FOLLOW = """
    got = [];
    following = subscribe(url, 'call', options);
    reading = (async () => { for await (const event of following) got.push(event.seq); })();
"""


async def test_every_event_comes_once_in_order_across_broken_connections(
    gateway: Gateway, relay: Relay, node: Node
) -> None:
    await gateway.create("call")
    await node.run(FOLLOW, url=relay.url, options={"untilEnded": True})
    for n in range(0, 300, 50):
        events = [new_event(f"e{each}") for each in range(n, n + 50)]
        await gateway.post("/sessions/call/events", {"events": events}, status=201)
        await node.run("await until(() => got.length > n);", n=n)
        relay.cut()
    await gateway.post("/sessions/call/complete", {"reason": "hangup"})
    assert await node.run("await reading; return got;") == list(range(1, 301))
    assert await node.run("return [following.lastSeq, following.session.endReason];") == [300, "hangup"]


async def test_following_continues_after_a_seq_and_ends_when_it_is_closed(gateway: Gateway, node: Node) -> None:
    await gateway.create("call")
    await gateway.fill("call", 10)
    await node.run(FOLLOW, url=gateway.url, options={"afterSeq": 7})
    await node.run("await until(() => following.caughtUp); following.close(); await reading;")
    assert await node.run("return got;") == [8, 9, 10]


async def test_leaving_the_loop_closes_the_connection(gateway: Gateway, node: Node) -> None:
    await gateway.create("call")
    await gateway.fill("call", 3)
    code = "for await (const event of subscribe(url, 'call')) { first = event.seq; break; } return first;"
    assert await node.run(code, url=gateway.url) == 1
    assert await node.leave() == 0


async def test_a_busy_loop_holds_a_few_megabytes_and_misses_nothing(gateway: Gateway, node: Node) -> None:
    """The gateway is asked to stop, and later to go on after the last event read."""
    await gateway.create("call")
    for n in range(60):
        await gateway.post("/sessions/call/events", new_event(f"e{n}", {"text": "x" * 100_000}), status=201)
    code = """
        const seqs = [];
        const asked = () => frames.map(([, , way, text]) => way === '>' && JSON.parse(text).type);
        for await (const event of subscribe(url, 'call')) {
          if (event.seq === 1) await until(() => asked().includes('unsubscribe'));
          seqs.push(event.seq);
          if (event.seq === 60) break;
        }
        return { seqs, subscribed: asked().filter((type) => type === 'subscribe').length };
    """
    result = await node.run(code, url=gateway.url)
    assert result["seqs"] == list(range(1, 61))
    assert result["subscribed"] == 2


async def test_the_session_and_the_end_of_the_replay_are_told_between_the_events(gateway: Gateway, node: Node) -> None:
    await gateway.create("call")
    await gateway.fill("call", 2)
    code = """
        const told = [];
        const options = {
          untilEnded: true,
          onSession: ({ status }) => told.push(status),
          onCaughtUp: (seq) => told.push(seq) && new Client(url).complete('call'),
        };
        for await (const event of subscribe(url, 'call', options)) told.push(event.eventId);
        return told;
    """
    assert await node.run(code, url=gateway.url) == ["active", "e1", "e2", 2, "completed"]


async def test_following_refuses_a_session_that_is_not_there_and_a_seq_beyond_the_log(
    gateway: Gateway, node: Node
) -> None:
    await gateway.create("call")
    with pytest.raises(NodeError, match="SessionNotFound"):
        await node.run("for await (const event of subscribe(url, 'nobody'));", url=gateway.url)
    with pytest.raises(NodeError, match=r"Refused: .*afterSeq"):
        await node.run("for await (const event of subscribe(url, 'call', { afterSeq: 9 }));")


async def test_following_gives_up_after_its_limit(node: Node) -> None:
    with pytest.raises(NodeError, match=r"Unreachable: gave up after 0\.2 s"):
        await node.run("for await (const e of subscribe('http://127.0.0.1:1', 'call', { giveUpAfterMs: 200 }));")


async def test_all_sessions_come_with_their_changes_also_those_missed_while_away(
    gateway: Gateway, relay: Relay, node: Node
) -> None:
    await gateway.create("one")
    await gateway.create("two")
    code = """
        seen = [];
        feed = followSessions(url);
        (async () => { for await (const { sessionId, status } of feed) seen.push(`${sessionId} ${status}`); })();
        await until(() => seen.length === 2);
    """
    await node.run(code, url=relay.url)
    await gateway.post("/sessions/one/events", new_event("e1"), status=201)
    await node.run("await until(() => seen.includes('one active'));")
    relay.refusing = True
    relay.cut()
    await gateway.post("/sessions/two/complete", {})
    await gateway.create("three")
    relay.refusing = False
    await node.run("await until(() => seen.length >= 5); feed.close();")
    seen = await node.run("return seen;")
    assert seen[:3] == ["one initiated", "two initiated", "one active"]
    assert sorted(seen[3:]) == ["three initiated", "two completed"]


async def test_only_sessions_of_a_status_come_and_once_more_when_they_leave_it(gateway: Gateway, node: Node) -> None:
    await gateway.create("one")
    await gateway.post("/sessions/one/events", new_event("e1"), status=201)
    await gateway.create("two")
    code = """
        seen = [];
        feed = followSessions(url, { status: ['active'] });
        (async () => { for await (const { sessionId, status } of feed) seen.push(`${sessionId} ${status}`); })();
        await until(() => seen.length === 1);
        await new Client(url).complete('one');
        await until(() => seen.length === 2);
        return seen;
    """
    assert await node.run(code, url=gateway.url) == ["one active", "one completed"]
